"""What the network sees in one epoch: shuffled, changed, normalised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edgefer.datasets.base import Subset
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Recipe
from edgefer.training.augmentation import augment
from edgefer.training.drawing import epoch_rows, row_weights


class Batch(NamedTuple):
    """Inputs (B, H, W, channels), targets and lessons (B, classes + D), each row's share in the loss (B,) or None."""

    inputs: Floats
    targets: Floats
    weights: Floats | None


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Full batches in ``rows``.

    A last, smaller one is left out of the epoch; the next shuffle brings its rows back. A set smaller than
    one batch makes one batch of all its rows.
    """
    return max(1, rows // batch_size)


def batches(subset: Subset, recipe: Recipe, epoch: int, lessons: Floats | None = None) -> Iterator[Batch]:
    """Yield the epoch's batches, with the rows, repetitions and weights that the recipe asks for.

    ``lessons`` (N, D), what teachers answer on each row, are put behind its targets.
    Order and changes depend on the recipe's seed and the epoch's number only.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    training = recipe.training
    order = epoch_rows(subset.labels, training.oversample, rng)
    all_targets = targets(subset, training.targets)
    if lessons is not None:
        all_targets = np.concatenate([all_targets, lessons], axis=1)
    weights = row_weights(subset.labels[order]) if training.class_weights == "inverse" else None
    for step in range(steps_per_epoch(len(order), training.batch_size)):
        part = slice(step * training.batch_size, (step + 1) * training.batch_size)
        rows = order[part]
        pixels = augment(subset.pixels[rows], recipe.augmentation, rng)
        inputs = to_floats(pixels, recipe.input)
        yield Batch(inputs, all_targets[rows], None if weights is None else weights[part])


def targets(subset: Subset, kind: str) -> Floats:
    """What the network should answer (N, classes): the taggers' votes, or one-hot majority labels."""
    if kind == "votes":
        return subset.soft
    return np.eye(subset.soft.shape[1], dtype=np.float32)[subset.labels]
