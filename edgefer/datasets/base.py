"""The one form every data set is brought to, and what a reader has to offer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgefer.datasets.fingerprints import Fingerprints, fingerprints
from edgefer.errors import InputError
from edgefer.metrics import rows_sha256
from edgefer.preprocessing import Pixels
from edgefer.spec import Frozen, LabelSet

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Census(Frozen, frozen=True):
    """Exact pixel duplicates among some rows.

    ``rows`` counts all rows a split; ``duplicates`` the rows that repeat an earlier one; ``leaked`` the rows
    a split whose image also stands in the training split.
    """

    rows: dict[Split, int]
    duplicates: int
    leaked: dict[Split, int]


def _empty() -> npt.NDArray[Any]:
    """Stands for a column that is not stated."""
    return np.empty(0)


@dataclass(frozen=True)
class Subset:
    """Rows of one split.

    ``pixels`` uint8 (N, H, W, C), ``labels`` int64 (N,), ``soft`` float32 (N, K) that sums to 1 a row (the
    taggers' votes where there are any, else one-hot), ``leaked`` bool (N,): the very same image also stands
    in the training split (always false for training rows themselves). ``sources`` int64 (N,) are positions in
    the ``sets`` of the ``Dataset``, 0 if not stated; ``prints`` uint64 (N,) the fingerprints of the images
    before any resizing, those of ``pixels`` if not stated.
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    leaked: npt.NDArray[np.bool_]
    sources: npt.NDArray[np.int64] = field(default_factory=_empty)
    prints: Fingerprints = field(default_factory=_empty)

    def __post_init__(self) -> None:
        if len(self.sources) != len(self):
            object.__setattr__(self, "sources", np.zeros(len(self), np.int64))
        if len(self.prints) != len(self):
            object.__setattr__(self, "prints", fingerprints(self.pixels))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Identity of these rows, images and labels in order."""
        return rows_sha256(self.pixels, self.labels)

    @cached_property
    def faces_sha256(self) -> str:
        """Identity of the same rows whatever size their images were brought to: fingerprints and labels in order."""
        return hashlib.sha256(self.prints.tobytes() + self.labels.tobytes()).hexdigest()

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Subset:
        """The chosen rows as a subset of their own (copies)."""
        return Subset(
            self.pixels[rows],
            self.labels[rows],
            self.soft[rows],
            self.leaked[rows],
            self.sources[rows],
            self.prints[rows],
        )


@dataclass(frozen=True)
class Dataset:
    """A whole labelled set.

    ``splits`` maps a split's name to its rows; ``dropped`` counts rows left out, by split and reason;
    ``ties`` counts rows a split whose most-voted class is not unique (empty where nobody voted). ``census``
    counts duplicates among all rows of the files (``file``) and among those that are used (``usable``).
    ``synthetic`` sets are labelled so wherever their numbers appear. ``sets`` names what was merged, in the
    order of the rows' ``sources`` (the ``name`` alone where nothing was); ``absent`` the optional sets that
    were not found. ``relabelled`` counts training rows whose label was corrected, ``skipped`` files beside the
    pictures that were not read, by suffix. ``dealt`` says how rows came to their splits, as a recipe's
    ``data.split`` does.
    """

    name: str
    labels: LabelSet
    splits: dict[Split, Subset]
    dropped: dict[Split, dict[str, int]] = field(default_factory=dict)
    ties: dict[Split, int] = field(default_factory=dict)
    census: dict[Literal["file", "usable"], Census] = field(default_factory=dict)
    synthetic: bool = False
    sets: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    relabelled: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    dealt: Literal["files", "grouped"] = "files"

    def __post_init__(self) -> None:
        if not self.sets:
            object.__setattr__(self, "sets", (self.name,))

    def split(self, name: Split) -> Subset:
        """The rows of one split.

        Raises:
            InputError: the set has no such split.
        """
        if name not in self.splits or not len(self.splits[name]):
            raise InputError(f"{self.name} has no {name} rows", hint=f"it has: {', '.join(self.splits)}")
        return self.splits[name]

    def among(self, classes: LabelSet) -> Dataset:
        """The same rows, numbered among ``classes`` where this set's class folders are some of those; else itself.

        A set that lacks a class can be answered all the same: there are no rows of it.
        """
        own, wanted = self.labels, classes
        if own.source != "folder" or wanted.source != "folder" or not set(own.names) < set(wanted.names):
            return self
        places = np.array([wanted.names.index(name) for name in own.names], np.int64)
        splits = {name: _renumbered(rows, places, len(wanted)) for name, rows in self.splits.items()}
        return replace(self, labels=wanted, splits=splits)

    def require_classes(self, names: tuple[str, ...], model: str) -> None:
        """Raise ``InputError`` unless the classes, in order, are those (``names``) of ``model``."""
        if names != self.labels.names:
            raise InputError(
                f"{model}: its classes are {', '.join(names)}; {self.name} has {', '.join(self.labels.names)}",
                hint="give data with the same label set",
            )


def _renumbered(rows: Subset, places: npt.NDArray[np.int64], classes: int) -> Subset:
    """``rows`` whose class k is ``places[k]`` of so many ``classes``."""
    soft = np.zeros((len(rows), classes), np.float32)
    soft[:, places] = rows.soft
    return replace(rows, labels=places[rows.labels], soft=soft)


@dataclass(frozen=True)
class Parsed:
    """All rows of a source in file order, before they are split.

    ``pixels`` uint8 (N, H, W, C); ``prints`` uint64 (N,) fingerprints of the images before any resizing;
    ``labels`` int64 (N,) positions in ``label_set``; ``soft`` float32 (N, K). ``parts`` int64 (N,) are
    positions in ``SPLITS``, None where the files have none. ``subjects`` (N) are the people's keys.
    ``dropped`` maps a reason to the rows, bool (N,), that are left out for it; ``labels`` and ``soft`` mean
    nothing there. ``tied`` bool (N,) marks rows whose most-voted class is not unique, None where nobody voted.
    ``skipped`` counts files beside the pictures that were not read, by suffix.
    """

    name: str
    label_set: LabelSet
    pixels: Pixels
    prints: Fingerprints
    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    parts: npt.NDArray[np.int64] | None
    subjects: tuple[str | None, ...]
    dropped: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    tied: npt.NDArray[np.bool_] | None = None
    synthetic: bool = False
    skipped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        """Bool (N,): rows that no reason leaves out."""
        keep = np.ones(len(self), np.bool_)
        for rows in self.dropped.values():
            keep &= ~rows
        return keep


@dataclass(frozen=True)
class Reader:
    """A layout of files that holds faces.

    ``layout`` describes it in half a line. ``label_sets`` are the protocols it can answer, its default first.
    ``finds(path)`` says, cheaply, whether ``path`` (a file or a folder) is in this layout; ``sources(path)``
    lists the files that make it up, for the cache. ``read(path, label_set, (height, width), channels)``
    parses it. Where two layouts are found in one place and both answer, the higher ``rank`` does. ``version``
    rises when ``read`` gives other rows for the same files, so that cached ones are not used.
    """

    id: str
    layout: str
    label_sets: tuple[str, ...]
    finds: Callable[[Path], bool]
    sources: Callable[[Path], tuple[Path, ...]]
    read: Callable[[Path, str, tuple[int, int], int], Parsed]
    rank: int = 0
    version: int = 1
