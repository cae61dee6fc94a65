"""What stands in a data set, counted: before anything is trained on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Census, Dataset, Split, Subset
from edgefer.spec import Frozen, LabelSet


class SplitInspection(Frozen, frozen=True):
    """One split: usable rows, in all, a class, and a set and class; rows left out, by reason; what is doubtful.

    ``ties`` counts rows whose most-voted class is not unique (None where nobody voted), ``leaked`` those
    whose image also stands in the training split. ``majority_share`` is the most-voted class's mean share
    (0..1) of the votes for the kept classes.
    """

    rows: int
    classes: dict[str, int]
    sets: dict[str, dict[str, int]]
    dropped: dict[str, int]
    ties: int | None
    tie_share: float | None
    leaked: int
    majority_share: float


class Inspection(Frozen, frozen=True):
    """Whole data; ``in_files`` counts duplicates among all rows, ``usable`` among those in use.

    ``sets``, ``absent``, ``relabelled`` and ``skipped`` are as in ``Dataset``.
    """

    data: str
    synthetic: bool
    labels: LabelSet
    sets: tuple[str, ...]
    absent: tuple[str, ...]
    relabelled: int
    skipped: dict[str, int]
    splits: dict[Split, SplitInspection]
    in_files: Census
    usable: Census


def inspect(dataset: Dataset) -> Inspection:
    """Count ``dataset``, as ``load`` gave it."""
    return Inspection(
        data=dataset.name,
        synthetic=dataset.synthetic,
        labels=dataset.labels,
        sets=dataset.sets,
        absent=dataset.absent,
        relabelled=dataset.relabelled,
        skipped=dataset.skipped,
        splits={split: _inspect_split(dataset, split, subset) for split, subset in dataset.splits.items()},
        in_files=dataset.census["file"],
        usable=dataset.census["usable"],
    )


def _inspect_split(dataset: Dataset, split: Split, subset: Subset) -> SplitInspection:
    sets = {
        name: _classes(subset.labels[subset.sources == source], dataset.labels)
        for source, name in enumerate(dataset.sets)
    }
    ties = dataset.ties.get(split)
    return SplitInspection(
        rows=len(subset),
        classes=_classes(subset.labels, dataset.labels),
        sets=sets,
        dropped=dataset.dropped.get(split, {}),
        ties=ties,
        tie_share=None if ties is None else ties / len(subset),
        leaked=int(subset.leaked.sum()),
        majority_share=float(subset.soft.max(axis=1).mean()),
    )


def _classes(numbers: npt.NDArray[np.int64], labels: LabelSet) -> dict[str, int]:
    counts = np.bincount(numbers, minlength=len(labels)).tolist()
    return dict(zip(labels.names, counts, strict=True))
