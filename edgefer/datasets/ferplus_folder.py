"""FER+ as its ``generate_training_data.py`` writes it: a folder a split, PNGs and a ``label.csv`` in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.datasets import pictures
from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.splitting import Numbers
from edgefer.datasets.tables import counts, read_table
from edgefer.datasets.votes import VOTE_COLUMNS, tally
from edgefer.errors import InputError

FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")
LABELS = "label.csv"
_COLUMNS = ("image", "box", *VOTE_COLUMNS)
_BOX = re.compile(r"\s*\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)\s*")


@dataclass(frozen=True)
class _Part:
    """One ``label.csv``: image files, face boxes (left, top, right, bottom) and votes int64 (N, 10)."""

    files: list[Path]
    boxes: list[pictures.Box]
    votes: Numbers


def finds(path: Path) -> bool:
    """Whether the training folder has its ``label.csv``."""
    return (path / FOLDERS[0] / LABELS).is_file()


def sources(path: Path) -> tuple[Path, ...]:
    """The label files and all images."""
    folders = _present(path)
    images = (file for folder in folders for file in pictures.pictures_in(folder))
    return (*(folder / LABELS for folder in folders), *images)


def _present(path: Path) -> list[Path]:
    return [path / name for name in FOLDERS if (path / name / LABELS).is_file()]


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Read what the label files list and decide by ``votes.tally``; see ``Reader``.

    Raises:
        InputError: a label file's line is not as it should be, or an image is missing or damaged.
    """
    present = _present(path)
    found = [_read_labels(folder / LABELS) for folder in present]
    where = [FOLDERS.index(folder.name) for folder in present]
    parts = np.repeat(where, [len(part.files) for part in found]).astype(np.int64)
    votes, labels = np.concatenate([part.votes for part in found]), LABEL_SETS[label_set]
    result = tally(votes, np.ones(len(votes), np.bool_), labels)
    boxes = [box for part in found for box in part.boxes]
    pixels, prints = pictures.decode([file for part in found for file in part.files], size, channels, boxes)
    return Parsed(
        name="FER+",
        label_set=labels,
        pixels=pixels,
        prints=prints,
        labels=result.labels,
        soft=result.soft,
        parts=parts,
        subjects=(None,) * len(votes),
        dropped=result.dropped,
        tied=result.tied,
    )


def _read_labels(file: Path) -> _Part:
    tables = list(read_table(file, _COLUMNS, header=False))
    if not tables:
        raise InputError(f"{file} has no rows")
    names = [file.parent / name.strip() for table in tables for name in table["image"]]
    boxes = [_box(text, f"{file} line {line}") for table in tables for line, text in table["box"].items()]
    votes = np.concatenate([counts(table[list(VOTE_COLUMNS)], file) for table in tables])
    return _Part(names, boxes, votes)


def _box(text: Any, where: str) -> pictures.Box:
    match = _BOX.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: {text!r} is no face box", hint='it looks like "(0, 0, 48, 48)"')
    left, top, right, bottom = map(int, match.groups())
    return left, top, right, bottom


READERS = (
    Reader(
        id="ferplus-folder",
        layout="FER2013Train/, FER2013Valid/ and FER2013Test/ with PNGs and a label.csv each",
        label_sets=("ferplus-9", "ferplus-8"),
        finds=finds,
        sources=sources,
        read=read,
    ),
)
