"""The one form every data set is brought to, and what a reader has to offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError
from edgefer.metrics import rows_sha256
from edgefer.preprocessing import Pixels
from edgefer.spec import LabelSet

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Subset:
    """Rows of one split.

    ``pixels`` uint8 (N, H, W, C), ``labels`` int64 (N,), ``soft`` float32 (N, K) that sums to 1 a row (the taggers'
    votes where there are any, else one-hot), ``leaked`` bool (N,): the very same image also stands in the training
    split (always false for training rows themselves).
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    leaked: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Identity of these rows, images and labels in order."""
        return rows_sha256(self.pixels, self.labels)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Subset:
        """The chosen rows as a subset of their own (copies)."""
        return Subset(self.pixels[rows], self.labels[rows], self.soft[rows], self.leaked[rows])


@dataclass(frozen=True)
class Dataset:
    """A whole labelled set.

    ``splits`` maps a split's name to its rows; ``dropped`` counts rows left out, by reason; ``ties`` counts rows a
    split whose most-voted class is not unique. ``synthetic`` sets are labelled so wherever their numbers appear.
    """

    name: str
    labels: LabelSet
    splits: dict[Split, Subset]
    dropped: dict[str, int] = field(default_factory=dict)
    ties: dict[str, int] = field(default_factory=dict)
    synthetic: bool = False

    def split(self, name: Split) -> Subset:
        """The rows of one split.

        Raises:
            InputError: the set has no such split.
        """
        if name not in self.splits or not len(self.splits[name]):
            raise InputError(f"{self.name} has no {name} rows", hint=f"it has: {', '.join(self.splits)}")
        return self.splits[name]


@dataclass(frozen=True)
class Reader:
    """A layout of files that holds faces.

    ``finds(path)`` says, cheaply, whether ``path`` (a file or a folder) is in this layout. ``label_sets`` are the
    protocols it can answer. ``read(path, label_set, (height, width), channels)`` parses it.
    """

    id: str
    label_sets: tuple[str, ...]
    finds: Callable[[Path], bool]
    read: Callable[[Path, str, tuple[int, int], int], Dataset]
