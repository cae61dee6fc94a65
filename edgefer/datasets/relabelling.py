"""Corrected training labels: found where a model contradicts them, kept in a CSV file, applied after loading.

S2 cleans its merged set by pseudo-labels: where a network is sure of another class than the label, the row gets
the network's. This holds water only for answers of a network that was not trained on the row (out of fold); one
that was has learnt its wrong labels too.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.datasets.assembly import one_hot
from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.fingerprints import as_text
from edgefer.datasets.tables import read_table
from edgefer.errors import InputError
from edgefer.files import write_atomic
from edgefer.spec import Frozen

COLUMNS = ("set", "image", "old", "new")
Numbers = npt.NDArray[np.int64]


class Change(Frozen, frozen=True):
    """All training rows of ``set`` that show ``image`` (16 hexadecimal digits) as ``old`` become ``new``."""

    set: str
    image: str
    old: str
    new: str


class Pair(Frozen, frozen=True):
    """How many training rows go from one class to another."""

    old: str
    new: str
    rows: int


class Cleaning(Frozen, frozen=True):
    """What would be changed: ``changed`` of the ``rows`` of the training split, most frequent ``pairs`` first."""

    data: str
    rows: int
    changed: int
    pairs: tuple[Pair, ...]
    changes: tuple[Change, ...]


def disagreements(
    probabilities: npt.NDArray[np.floating[Any]], labels: Numbers, threshold: float
) -> npt.NDArray[np.intp]:
    """Positions of rows whose most probable class is not their label, with at least ``threshold``.

    Args:
        probabilities: (N, K), from a model that was not trained on these rows.
        labels: class numbers (N,).
        threshold: above 0.5 up to 1, so that one class at most reaches it.

    Raises:
        ValueError: the threshold or the shapes are wrong.
    """
    if not 0.5 < threshold <= 1:
        raise ValueError(f"the threshold {threshold} is not above 0.5 up to 1")
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise ValueError(f"probabilities {probabilities.shape} for {len(labels)} labels")
    other = probabilities.argmax(axis=1) != labels
    return np.flatnonzero(other & (probabilities.max(axis=1) >= threshold))


def clean(dataset: Dataset, probabilities: npt.NDArray[np.floating[Any]], threshold: float) -> Cleaning:
    """What to relabel in the training split, by ``disagreements``; an image that stands there twice once a label."""
    train, names = dataset.split("train"), dataset.labels.names
    rows = disagreements(probabilities, train.labels, threshold)
    old = [names[label] for label in train.labels[rows].tolist()]
    new = [names[label] for label in probabilities[rows].argmax(axis=1).tolist()]
    sets = [dataset.sets[source] for source in train.sources[rows].tolist()]
    found = dict.fromkeys(zip(sets, as_text(train.prints[rows]), old, new, strict=True))
    pairs = Counter(zip(old, new, strict=True)).most_common()
    return Cleaning(
        data=dataset.name,
        rows=len(train),
        changed=len(rows),
        pairs=tuple(Pair(old=before, new=after, rows=count) for (before, after), count in pairs),
        changes=tuple(Change(set=one, image=image, old=o, new=n) for one, image, o, n in found),
    )


def write_changes(file: Path, changes: tuple[Change, ...]) -> None:
    """Write the CSV that ``relabelled`` reads, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((change.set, change.image, change.old, change.new) for change in changes)
    write_atomic(file, text.getvalue().encode())


def relabelled(dataset: Dataset, file: Path) -> Dataset:
    """Apply a CSV of changes to the training split; the soft labels of changed rows become one-hot.

    Raises:
        InputError: the file cannot be read, or a line names a set or class that ``dataset`` has not, an image
            that no training row of the set shows, an old label that none of them has, or one row twice.
    """
    train = dataset.split("train")
    rows_of = _index(train)
    labels, seen = train.labels.copy(), set()
    for where, change in _read(file):
        source = _position(change.set, dataset.sets, "set of the data", where)
        old, new = (
            _position(name, dataset.labels.names, f"class of {dataset.labels.source}", where)
            for name in (change.old, change.new)
        )
        rows = rows_of.get((source, change.image))
        if rows is None:
            raise InputError(f"{where}: no training row of {change.set} shows the image {change.image!r}")
        matching = rows[train.labels[rows] == old]
        if not len(matching):
            has = dataset.labels.names[int(train.labels[rows[0]])]
            raise InputError(f"{where}: the old label is {change.old}, the data says {has}")
        if (source, change.image, old) in seen:
            raise InputError(f"{where}: this image was already relabelled further up")
        seen.add((source, change.image, old))
        labels[matching] = new
    changed = labels != train.labels
    soft = np.where(changed[:, None], one_hot(labels, len(dataset.labels)), train.soft)
    splits = {**dataset.splits, "train": replace(train, labels=labels, soft=soft)}
    return replace(dataset, splits=splits, relabelled=int(changed.sum()))


def _index(train: Subset) -> dict[tuple[int, str], npt.NDArray[np.intp]]:
    """Rows by set number and image."""
    rows: dict[tuple[int, str], list[int]] = {}
    for row, key in enumerate(zip(train.sources.tolist(), as_text(train.prints), strict=True)):
        rows.setdefault(key, []).append(row)
    return {key: np.array(found) for key, found in rows.items()}


def _read(file: Path) -> Iterator[tuple[str, Change]]:
    for table in read_table(file, COLUMNS):
        for line, *cells in table[list(COLUMNS)].itertuples():
            words = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
            yield f"{file} line {line}", Change(**words)


def _position(name: str, known: tuple[str, ...], what: str, where: str) -> int:
    if name not in known:
        raise InputError(f"{where}: {name!r} is no {what}", hint=f"known: {', '.join(known)}")
    return known.index(name)
