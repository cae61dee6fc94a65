"""JAFFE: one flat folder, ``KA.AN1.39.tiff`` being subject, emotion code and number, file number."""

from __future__ import annotations

import re
from pathlib import Path

from edgefer.datasets import pictures
from edgefer.datasets.assembly import one_hot
from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.labels import CODES, LABEL_SETS, SINGLE_LABEL_SETS, numbers_of
from edgefer.datasets.splitting import subject
from edgefer.errors import InputError

EMOTIONS = CODES["jaffe"]
_NAME = re.compile(r"[A-Z]{2}\.(?P<code>[A-Z]{2})\d\.\d+\.\w+")


def finds(path: Path) -> bool:
    """Whether a folder holds an image with such a name."""
    return path.is_dir() and any(map(_NAME.fullmatch, (file.name for file in _files(path))))


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(pictures.pictures_in(path))


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Read all images; see ``Reader``.

    Raises:
        InputError: a file is damaged, or its name or emotion code is none of JAFFE's.
    """
    files, labels = _files(path), LABEL_SETS[label_set]
    numbers, dropped = numbers_of([_emotion(file) for file in files], labels)
    pixels, prints = pictures.decode(files, size, channels)
    return Parsed(
        name="JAFFE",
        label_set=labels,
        pixels=pixels,
        prints=prints,
        labels=numbers,
        soft=one_hot(numbers, len(labels)),
        parts=None,
        subjects=tuple(subject(file.name) for file in files),
        dropped=dropped,
    )


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
        label_sets=SINGLE_LABEL_SETS,
        finds=finds,
        sources=_files,
        read=read,
    ),
)
