"""Scores against scikit-learn's own averages, and the identity of rows."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

from edgefer.errors import InputError
from edgefer.metrics import Score, calibration_error, f1_intervals, mcnemar_p, rows_sha256, score
from edgefer.spec import LabelSet

LABELS = LabelSet(source="test", names=("a", "b", "c", "d"))
CLASS = st.integers(0, len(LABELS) - 1)
PAIRS = st.lists(st.tuples(CLASS, CLASS), min_size=1, max_size=60)


def scored(pairs: list[tuple[int, int]]) -> Score:
    labels, predictions = np.asarray(pairs).T
    return score(labels, predictions, LABELS, rows="rows")


@given(PAIRS)
@settings(deadline=None, max_examples=60)  # the first example pays for scikit-learn's import
def test_averages_equal_scikit_learns(pairs):
    labels, predictions = np.asarray(pairs).T
    mine = scored(pairs)
    options = {"average": "weighted", "labels": range(len(LABELS)), "zero_division": 0}
    assert mine.weighted_f1 == pytest.approx(f1_score(labels, predictions, **options))
    assert mine.weighted_precision == pytest.approx(precision_score(labels, predictions, **options))
    assert mine.weighted_recall == pytest.approx(recall_score(labels, predictions, **options))
    assert mine.macro_f1 == pytest.approx(f1_score(labels, predictions, **(options | {"average": "macro"})))
    assert mine.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert np.array_equal(mine.confusion, confusion_matrix(labels, predictions, labels=range(len(LABELS))))


@given(PAIRS)
@settings(deadline=None, max_examples=60)
def test_numbers_agree_with_each_other(pairs):
    mine = scored(pairs)
    matrix = np.asarray(mine.confusion)
    support = np.asarray([each.support for each in mine.per_class])
    assert matrix.sum() == mine.n == len(pairs)
    assert np.array_equal(matrix.sum(axis=1), support)
    assert mine.weighted_f1 == pytest.approx(support / len(pairs) @ [each.f1 for each in mine.per_class])
    assert mine.weighted_recall == pytest.approx(mine.accuracy)
    assert mine.accuracy == pytest.approx(np.trace(matrix) / len(pairs))


@given(PAIRS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_order_of_rows_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    assert scored(shuffled) == scored(pairs)


def test_a_worked_example():
    mine = score(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), LABELS, rows="rows")
    # class a: precision 1, recall 2/3, F1 0.8; class b: precision 1/2, recall 1, F1 2/3; c and d are absent
    assert [each.f1 for each in mine.per_class] == pytest.approx([0.8, 2 / 3, 0, 0])
    assert mine.weighted_f1 == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
    assert mine.macro_f1 == pytest.approx((0.8 + 2 / 3) / 4)


def test_no_rows_are_refused_rather_than_scored_zero():
    nothing = np.array([], dtype=np.int64)
    with pytest.raises(InputError, match="no rows to score"):
        score(nothing, nothing, LABELS, rows="rows")


@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_number_that_is_no_class_is_refused(wrong):
    with pytest.raises(ValueError, match=r"0\.\.3"):
        score(np.array([0, wrong]), np.array([0, 1]), LABELS, rows="rows")
    with pytest.raises(ValueError, match=r"0\.\.3"):
        score(np.array([0, 1]), np.array([0, wrong]), LABELS, rows="rows")


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="inconsistent"):
        score(np.array([0, 1]), np.array([0]), LABELS, rows="rows")


def test_a_score_survives_json_and_a_torn_confusion_matrix_does_not():
    mine = scored([(0, 1), (2, 2)])
    assert msgspec.json.decode(msgspec.json.encode(mine), type=Score) == mine
    torn = msgspec.to_builtins(mine) | {"confusion": [[1, 2]]}
    with pytest.raises(msgspec.ValidationError, match="one row and one column a class"):
        msgspec.convert(torn, Score)


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1)


def test_rows_have_one_hash_whatever_their_layout_in_memory():
    labels = np.array([1, 0])
    same = rows_sha256(np.asfortranarray(IMAGES), labels.astype(np.int32))
    assert rows_sha256(IMAGES, labels) == same
    assert len(same) == 64


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (IMAGES + 1, [1, 0]),
        (IMAGES, [0, 1]),
        (IMAGES[::-1], [0, 1]),
        (IMAGES.reshape(2, 4, 3, 1), [1, 0]),
        (IMAGES[:1], [1]),
    ],
)
def test_other_rows_have_another_hash(pixels, labels):
    assert rows_sha256(pixels, np.array(labels)) != rows_sha256(IMAGES, np.array([1, 0]))


def test_no_rows_have_a_hash():
    assert len(rows_sha256(IMAGES[:0], np.array([], dtype=np.int64))) == 64


@pytest.mark.parametrize(("pixels", "count"), [(IMAGES.astype(np.float32), 2), (IMAGES, 3)])
def test_rows_that_are_none_are_refused(pixels, count):
    with pytest.raises(ValueError, match="labels"):
        rows_sha256(pixels, np.zeros(count, np.int64))


def test_mcnemar_counts_only_the_rows_that_tell():
    both = np.ones(1000, bool)
    first, second = np.r_[both, np.ones(10, bool)], np.r_[both, np.zeros(10, bool)]
    # ten coin flips that all fall the same way: 2 / 2**10
    assert mcnemar_p(first, second) == pytest.approx(2 / 1024)
    assert mcnemar_p(second, first) == mcnemar_p(first, second)
    assert mcnemar_p(first, first) == 1.0


def test_macro_averages_equal_scikit_learns():
    labels, predictions = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    mine = score(labels, predictions, LABELS, rows="rows")
    options = {"average": "macro", "labels": range(len(LABELS)), "zero_division": 0}
    assert mine.macro_precision == pytest.approx(precision_score(labels, predictions, **options))
    assert mine.macro_recall == pytest.approx(recall_score(labels, predictions, **options))


def sure(*confidences: float) -> np.ndarray:
    """Two-class probabilities that predict class 0 with these confidences."""
    return np.array([(each, 1 - each) for each in confidences], np.float32)


def test_calibration_error_of_a_worked_example():
    # Bin (14/15, 1]: three rows at 0.95, two right, gap |2 - 2.85|; bin (8/15, 9/15]: one row at 0.58, right, gap 0.42.
    probabilities, labels = sure(0.95, 0.95, 0.95, 0.58), np.array([0, 0, 1, 0])
    assert calibration_error(probabilities, labels) == pytest.approx((0.85 + 0.42) / 4, abs=1e-6)


def test_confidence_that_holds_is_calibrated_and_gaps_of_one_bin_cancel():
    labels = np.array([0] * 3 + [1])
    assert calibration_error(sure(0.75, 0.75, 0.75, 0.75), labels) == pytest.approx(0, abs=1e-6)
    # One bin says nothing about which rows are right, as the definition has it.
    assert calibration_error(sure(1.0, 1.0, 0.5, 0.5), labels, bins=1) == pytest.approx(0, abs=1e-6)


def test_full_confidence_in_wrong_answers_is_the_largest_error():
    assert calibration_error(sure(1.0, 1.0), np.array([1, 1])) == pytest.approx(1)


def test_calibration_of_no_rows_is_refused():
    with pytest.raises(InputError, match="no rows to score"):
        calibration_error(sure()[:0].reshape(0, 2), np.array([], np.int64))


def test_intervals_hold_the_score_and_tell_rare_classes_from_common_ones():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 1000, p=(0.7, 0.27, 0.03))
    predictions = np.where(rng.random(1000) < 0.8, labels, rng.choice(3, 1000))
    found = score(labels, predictions, LabelSet(source="folder", names=("a", "b", "c")), rows="")
    intervals = f1_intervals(labels, predictions, 3)
    for each, (low, high) in zip(found.per_class, intervals, strict=True):
        assert low < each.f1 < high
    widths = [high - low for low, high in intervals]
    assert widths[0] < widths[1] < widths[2]


def test_of_a_single_row_or_none_the_interval_is_the_score():
    assert f1_intervals(np.array([1]), np.array([1]), 2) == ((0.0, 0.0), (1.0, 1.0))
    assert f1_intervals(np.array([], np.int64), np.array([], np.int64), 1) == ((0.0, 0.0),)


def test_a_class_that_never_comes_up_has_no_interval_above_zero():
    labels = np.array([0, 1] * 20)
    assert f1_intervals(labels, labels, 3)[2] == (0.0, 0.0)
