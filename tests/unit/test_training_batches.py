from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_samples import tiny_recipe, tiny_subset

from edgefer.training.batches import batches, steps_per_epoch, targets


def test_an_epoch_is_decided_by_seed_and_number():
    recipe, subset = tiny_recipe("augmentation.preset=strong"), tiny_subset(48, 0)
    one, same, other = (list(batches(subset, recipe, number)) for number in (1, 1, 2))
    for (x, y, _), (again_x, again_y, _) in zip(one, same, strict=True):
        assert np.array_equal(x, again_x)
        assert np.array_equal(y, again_y)
    assert not np.array_equal(one[0][0], other[0][0])


def test_inputs_are_what_the_recipe_says_and_each_row_keeps_its_label():
    subset = tiny_subset(48, 0)
    for inputs, wanted, _ in batches(subset, tiny_recipe("augmentation.flip=true"), 1):
        assert (inputs.shape, inputs.dtype) == ((16, 32, 32, 3), np.float32)
        assert inputs.min() >= -1
        assert inputs.max() <= 1
        assert np.array_equal(inputs[..., 0], inputs[..., 2])
        bright = inputs.mean(axis=(1, 2, 3)) > 0
        assert np.array_equal(wanted.argmax(axis=1) == 1, bright)


def test_rows_are_not_repeated_within_an_epoch():
    subset = tiny_subset(50, 0)
    seen = np.concatenate([x for x, *_ in batches(subset, tiny_recipe(), 1)])
    assert len(np.unique(seen, axis=0)) == len(seen) == 48


def test_a_set_smaller_than_a_batch_is_one_batch():
    assert steps_per_epoch(5, 16) == 1
    [(inputs, *_)] = batches(tiny_subset(5, 0), tiny_recipe(), 1)
    assert len(inputs) == 5


def test_targets_are_votes_or_one_hot():
    subset = tiny_subset(3, 0)
    votes = np.full((3, 9), 1 / 9, np.float32)
    voted = type(subset)(subset.pixels, subset.labels, votes, subset.leaked)
    assert np.array_equal(targets(voted, "votes"), votes)
    assert np.array_equal(targets(voted, "majority").argmax(axis=1), subset.labels)


def test_rare_classes_weigh_more_or_come_up_more_often_and_not_both():
    labels = np.repeat([0, 1], [48, 16])
    subset = replace(tiny_subset(64, 0), labels=labels)
    assert [weights for *_, weights in batches(subset, tiny_recipe(), 1)] == [None] * 4
    weighted = list(batches(subset, tiny_recipe("training.class_weights=inverse"), 1))
    for batch in weighted:
        assert batch.weights is not None
        rare = batch.targets.argmax(axis=1) == 1
        assert batch.weights == pytest.approx(np.where(rare, 2, 2 / 3))
    repeated = tiny_recipe("training.oversample=1", "training.class_weights=inverse")
    wanted = [(batch.targets.argmax(axis=1), batch.weights) for batch in batches(subset, repeated, 1)]
    assert len(wanted) == 6
    assert np.concatenate([classes for classes, _ in wanted]).mean() == pytest.approx(0.5)
    assert np.concatenate([weights for _, weights in wanted]) == pytest.approx(1)
