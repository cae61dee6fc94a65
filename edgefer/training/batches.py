"""What the network sees in one epoch: shuffled, changed, normalised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgefer.datasets.base import Subset
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Recipe
from edgefer.training.augmentation import augment


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Full batches in ``rows``.

    A last, smaller one is left out of the epoch; the next shuffle brings its rows back. A set smaller than
    one batch makes one batch of all its rows.
    """
    return max(1, rows // batch_size)


def batches(subset: Subset, recipe: Recipe, epoch: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the epoch's batches: network inputs (B, H, W, channels) and targets (B, classes).

    Order and changes depend on the recipe's seed and the epoch's number only.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    size = recipe.training.batch_size
    order = rng.permutation(len(subset))
    all_targets = targets(subset, recipe.training.targets)
    for step in range(steps_per_epoch(len(subset), size)):
        rows = order[step * size : (step + 1) * size]
        pixels = augment(subset.pixels[rows], recipe.augmentation, rng)
        yield to_floats(pixels, recipe.input), all_targets[rows]


def targets(subset: Subset, kind: str) -> Floats:
    """What the network should answer (N, classes): the taggers' votes, or one-hot majority labels."""
    if kind == "votes":
        return subset.soft
    return np.eye(subset.soft.shape[1], dtype=np.float32)[subset.labels]
