"""Which rows an epoch consists of, and how much each of them counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.preprocessing import Floats

Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


def rows_per_epoch(labels: Labels, oversample: float) -> int:
    """Rows in one epoch over ``labels`` (N,), repeated ones included."""
    return int(_wanted(labels, oversample).sum())


def epoch_rows(labels: Labels, oversample: float, rng: np.random.Generator) -> Rows:
    """The rows of one epoch in random order; each class as often as ``TrainingPart.oversample`` says.

    Every row of a class comes up equally often, give or take one; ``rng`` decides which ones come up once more.
    """
    wanted = _wanted(labels, oversample)
    parts = [_repeat(np.flatnonzero(labels == label), count, rng) for label, count in enumerate(wanted)]
    return rng.permutation(np.sort(np.concatenate(parts)))


def row_weights(labels: Labels) -> Floats:
    """Factors (N,) inverse to the count of each row's class, with mean 1."""
    from sklearn.utils.class_weight import compute_sample_weight

    weights: Floats = compute_sample_weight("balanced", labels).astype(np.float32)
    return weights


def _wanted(labels: Labels, oversample: float) -> Rows:
    """Rows wanted a class: the geometric mean, weighted by ``oversample``, of the largest class's and its own."""
    counts = np.bincount(labels)
    wanted: Rows = np.rint(counts.max() ** oversample * counts ** (1 - oversample)).astype(np.intp)
    return np.where(counts > 0, wanted, 0)


def _repeat(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    if count == len(rows):
        return rows
    times, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, times), rng.choice(rows, rest, replace=False)])
