"""JAFFE: one flat folder, ``KA.AN1.39.tiff`` being subject, emotion code and number, file number."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from edgefer.datasets import pictures
from edgefer.datasets.assembly import Rows, assemble, one_hot
from edgefer.datasets.base import Dataset, Reader
from edgefer.datasets.labels import LABEL_SETS, class_number
from edgefer.datasets.splitting import deal, group, subject
from edgefer.errors import InputError

EMOTIONS = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
_NAME = re.compile(r"[A-Z]{2}\.(?P<code>[A-Z]{2})\d\.\d+\.\w+")


def finds(path: Path) -> bool:
    """Whether a folder holds an image with such a name."""
    return path.is_dir() and any(map(_NAME.fullmatch, (file.name for file in _files(path))))


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(pictures.pictures_in(path))


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Dataset:
    """Read all images, cut 80:10:10 by subject; see ``Reader``.

    Raises:
        InputError: a file is damaged, or its name or emotion code is none of JAFFE's.
    """
    files, labels = _files(path), LABEL_SETS[label_set]
    numbers = np.array([class_number(_emotion(file), labels, str(file)) for file in files], np.int64)
    pixels, prints = pictures.decode(files, size, channels)
    parts = deal(numbers, group([subject(file.name) for file in files], prints))
    rows = Rows(pixels, prints, parts, numbers, one_hot(numbers, len(labels)))
    return assemble("JAFFE", labels, rows)


def _emotion(file: Path) -> str:
    match = _NAME.fullmatch(file.name)
    if match is None or match["code"] not in EMOTIONS:
        raise InputError(
            f"{file}: the name is none of JAFFE's", hint=f"KA.AN1.39.tiff; codes: {', '.join(EMOTIONS)}"
        )
    return EMOTIONS[match["code"]]


READERS = (
    Reader(
        id="jaffe",
        layout="a flat folder of JAFFE images such as KA.AN1.39.tiff",
        label_sets=("fer2013-7", "ferplus-9", "ferplus-8"),
        finds=finds,
        sources=_files,
        read=read,
    ),
)
