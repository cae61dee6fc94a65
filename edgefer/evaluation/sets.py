"""Scores of each source set in a merged data set, and whether its labels mean what the others' mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import InputError
from edgefer.evaluation.record import SetClass, SetScore
from edgefer.metrics import score

Numbers = npt.NDArray[np.int64]


def score_sets(dataset: Dataset, subset: Subset, predictions: Numbers) -> tuple[SetScore, ...]:
    """Score predicted class numbers (N,) for the rows of ``subset``, one source set after the other.

    S4 checks a merged set this way: where a network takes most faces of one set's class for another class, the
    two sets hardly mean the same by their labels, or the mapping between them is wrong. Sets without rows here are
    left out.

    Raises:
        InputError: the data was not merged from several sets.
    """
    require_several(dataset)
    present = [number for number in range(len(dataset.sets)) if (subset.sources == number).any()]
    return tuple(_score_set(dataset, subset, predictions, number) for number in present)


def require_several(dataset: Dataset) -> None:
    """Raise ``InputError`` unless the data was merged from several sets."""
    if len(dataset.sets) < 2:
        raise InputError(
            f"{dataset.name} is one set, there are none to tell apart", hint="leave --by-set away"
        )


def _score_set(dataset: Dataset, subset: Subset, predictions: Numbers, number: int) -> SetScore:
    chosen = subset.sources == number
    rows = subset.take(chosen)
    scored = score(rows.labels, predictions[chosen], dataset.labels, rows=rows.sha256)
    counts = np.asarray(scored.confusion)
    names = dataset.labels.names
    classes = tuple(_class(names, label, counts[label]) for label in range(len(names)))
    return SetScore(name=dataset.sets[number], score=scored, classes=classes)


def _class(names: tuple[str, ...], label: int, counts: Numbers) -> SetClass:
    """``counts`` (classes,) are the predictions for the rows of class ``label``."""
    rows = int(counts.sum())
    if not rows:
        return SetClass(name=names[label], rows=0, recall=None, prediction=None, suspicious=False)
    # On a tie the class itself counts: half of the rows are right.
    suspicious = bool(counts.max() > counts[label])
    most = int(counts.argmax()) if suspicious else label
    return SetClass(
        name=names[label],
        rows=rows,
        recall=float(counts[label] / rows),
        prediction=names[most],
        suspicious=suspicious,
    )
