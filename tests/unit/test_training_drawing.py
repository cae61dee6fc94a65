from __future__ import annotations

import numpy as np
import pytest

from edgefer.training.drawing import epoch_rows, row_weights, rows_per_epoch

# 100 rows of class 0, 25 of class 1, none of class 2, 4 of class 3, mixed.
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [100, 25, 4]))


def rows(oversample: float, seed: int = 5) -> np.ndarray:
    return epoch_rows(LABELS, oversample, np.random.default_rng(seed))


def test_without_oversampling_each_row_comes_up_once_in_the_order_runs_always_had():
    assert np.array_equal(rows(0), np.random.default_rng(5).permutation(len(LABELS)))


@pytest.mark.parametrize(("oversample", "counts"), [(0.5, [100, 50, 0, 20]), (1.0, [100, 100, 0, 100])])
def test_a_class_is_drawn_as_often_as_the_weighted_geometric_mean_says(oversample: float, counts: list[int]):
    drawn = rows(oversample)
    assert np.bincount(LABELS[drawn]).tolist() == counts
    assert rows_per_epoch(LABELS, oversample) == len(drawn) == sum(counts)


def test_the_rows_of_a_class_are_repeated_equally_often_give_or_take_one():
    times = np.bincount(rows(0.7), minlength=len(LABELS))
    for label in (0, 1, 3):
        own = times[label == LABELS]
        assert own.max() - own.min() <= 1
        assert own.min() >= 1


def test_the_generator_decides_the_order_and_which_rows_come_once_more():
    assert np.array_equal(rows(0.7), rows(0.7))
    assert sorted(rows(0.7)) != sorted(rows(0.7, seed=6))


def test_row_weights_are_inverse_to_the_class_count_with_mean_one():
    weights = row_weights(LABELS)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1)
    sums = [weights[label == LABELS].sum() for label in (0, 1, 3)]
    assert sums == pytest.approx([len(LABELS) / 3] * 3)
