"""FER+: the taggers' votes of ``fer2013new.csv`` joined, row by row, to the images of FER2013's CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgefer.datasets import fer2013
from edgefer.datasets.assembly import bring_to
from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.fingerprints import fingerprints
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.tables import codes, counts, read_table
from edgefer.datasets.votes import VOTE_COLUMNS, tally
from edgefer.errors import InputError

_NAME = "Image name"


def votes_file(path: Path) -> Path:
    """Where the votes stand for a data folder, or for a file in it."""
    return (path if path.is_dir() else path.parent) / fer2013.VOTES_NAME


def finds(path: Path) -> bool:
    """Whether both files are there."""
    return votes_file(path).is_file() and bool(fer2013.candidates(_images(path)))


def sources(path: Path) -> tuple[Path, ...]:
    """Images and votes."""
    return fer2013.locate(_images(path)), votes_file(path)


def _images(path: Path) -> Path:
    return path.parent if path.name == fer2013.VOTES_NAME else path


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Join and decide by ``votes.tally``; see ``Reader``.

    Raises:
        InputError: the files differ in their number of rows or in a row's Usage, or one is damaged.
    """
    images_file, file = sources(path)
    votes, named, parts = read_votes(file)
    images = fer2013.parse(images_file)
    _same_rows(images.parts, parts, images_file, file)
    labels = LABEL_SETS[label_set]
    result = tally(votes, named, labels)
    return Parsed(
        name="FER+",
        label_set=labels,
        pixels=bring_to(images.pixels, size, channels),
        prints=fingerprints(images.pixels),
        labels=result.labels,
        soft=result.soft,
        parts=parts,
        subjects=(None,) * len(votes),
        dropped=result.dropped,
        tied=result.tied,
    )


def read_votes(file: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Votes int64 (N, 10), whether the image has a name bool (N,), split numbers int64 (N,).

    Raises:
        InputError: the file is damaged, or a row has an unknown Usage or a vote that is no whole number.
    """
    tables = list(read_table(file, ("Usage", _NAME, *VOTE_COLUMNS)))
    votes = [counts(table[list(VOTE_COLUMNS)], file) for table in tables]
    parts = [codes(table, "Usage", fer2013.USAGES, file) for table in tables]
    named = [np.asarray(table[_NAME].str.strip() != "", np.bool_) for table in tables]
    if not tables:
        raise InputError(f"{file} has no rows")
    return np.concatenate(votes), np.concatenate(named), np.concatenate(parts)


def _same_rows(
    images: npt.NDArray[np.int64], votes: npt.NDArray[np.int64], images_file: Path, file: Path
) -> None:
    if len(images) != len(votes):
        raise InputError(
            f"{images_file} has {len(images)} rows, {file} has {len(votes)}",
            hint="the votes belong to the images row by row; take both files from the same release",
        )
    if (differ := images != votes).any():
        row = int(differ.argmax()) + 1
        raise InputError(f"row {row}: {images_file} and {file.name} name different Usages")


READERS = (
    Reader(
        id="ferplus",
        layout="fer2013.csv with fer2013new.csv (FER+ votes) next to it",
        label_sets=("ferplus-9", "ferplus-8"),
        finds=finds,
        sources=sources,
        read=read,
        rank=1,
    ),
)
