"""Which test rows both answer, each at its own image size, and that they are the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import InputError
from edgefer.gating.contender import Contender

Read = Callable[[Contender], Dataset]


@dataclass(frozen=True)
class Choice:
    """Which rows are asked for: ``leaked`` ones too, and at most ``most`` of them, drawn by ``seed``; None is all."""

    leaked: bool = False
    most: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class SharedRows:
    """The rows as each takes them. ``numbers`` int64 (N,) are their places in the test split ``split``.

    ``left_out`` of its rows were not asked for, because they are leaked.
    """

    dataset: Dataset
    split: Subset
    numbers: npt.NDArray[np.int64]
    before: Subset
    after: Subset
    left_out: int


def shared_rows(baseline: Contender, artifact: Contender, read: Read, choice: Choice) -> SharedRows:
    """The chosen rows of the data's test split for both.

    Raises:
        InputError: the two have other classes than each other or the data, see other faces, or no row is left.
    """
    if baseline.labels.names != artifact.labels.names:
        raise InputError(
            f"{artifact.path} has the classes {', '.join(artifact.labels.names)}; "
            f"{baseline.path} has {', '.join(baseline.labels.names)}",
            hint="give a baseline with the same classes in the same order",
        )
    dataset, other = read(artifact), read(baseline)
    for each, data in ((artifact, dataset), (baseline, other)):
        data.require_classes(each.labels.names, str(each.path))
    split, theirs = dataset.split("test"), other.split("test")
    _require_same_faces(baseline, artifact, theirs, split)
    numbers = _chosen(split, choice, dataset.name)
    left_out = 0 if choice.leaked else int(split.leaked.sum())
    return SharedRows(dataset, split, numbers, theirs.take(numbers), split.take(numbers), left_out)


def _require_same_faces(baseline: Contender, artifact: Contender, theirs: Subset, ours: Subset) -> None:
    """Fingerprints are of the images before resizing, so they are equal for two image sizes."""
    if np.array_equal(theirs.prints, ours.prints) and np.array_equal(theirs.labels, ours.labels):
        return
    shapes = [f"{spec.height}x{spec.width} {spec.color}" for spec in (artifact.input, baseline.input)]
    raise InputError(
        f"{artifact.path} takes {shapes[0]} images, {baseline.path} {shapes[1]}: they do not see the same rows",
        hint="give a baseline that reads the faces as the artifact does",
    )


def _chosen(split: Subset, choice: Choice, data: str) -> npt.NDArray[np.int64]:
    """Places in the split, ascending."""
    kept = np.flatnonzero(np.ones(len(split), np.bool_) if choice.leaked else ~split.leaked)
    if not len(kept):
        raise InputError(
            f"{data}: every test image also stands in the training split",
            hint="give data whose test images are its own, or --include-leaked",
        )
    if choice.most is not None and choice.most < len(kept):
        kept = np.sort(np.random.default_rng(choice.seed).choice(kept, choice.most, replace=False))
    return kept.astype(np.int64)
