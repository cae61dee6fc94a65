"""FER2013's CSV: ``emotion,pixels,Usage`` or ``emotion, Usage, pixels``, plain or compressed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.datasets.assembly import bring_to, one_hot
from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.fingerprints import fingerprints
from edgefer.datasets.labels import CODES, FER2013_LABEL_SETS, LABEL_SETS, numbers_of
from edgefer.datasets.tables import codes, read_table
from edgefer.errors import InputError
from edgefer.preprocessing import Pixels

SIDE = 48
USAGES = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}
SUFFIXES = (".csv", ".csv.gz", ".csv.xz", ".csv.zip")
NAMES = tuple(stem + suffix for stem in ("fer2013", "icml_face_data") for suffix in SUFFIXES)
VOTES_NAME = "fer2013new.csv"


@dataclass(frozen=True)
class Fer2013:
    """The file: ``pixels`` uint8 (N, 48, 48, 1), ``emotions`` (codes) and ``parts`` (splits) int64 (N,)."""

    pixels: Pixels
    emotions: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]


def candidates(path: Path) -> list[Path]:
    """The FER2013 CSV files that ``path`` means: itself, or those of a published name in the folder."""
    if path.is_dir():
        return [path / name for name in NAMES if (path / name).is_file()]
    return [path] if path.name.endswith(SUFFIXES) and path.name != VOTES_NAME and path.is_file() else []


def locate(path: Path) -> Path:
    """The one FER2013 CSV that ``path`` means.

    Raises:
        InputError: a folder holds several.
    """
    found = candidates(path)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "no FER2013 CSV"
        raise InputError(f"{path} holds {names}", hint="give the path of the one to read")
    return found[0]


def parse(file: Path) -> Fer2013:
    """Parse all rows.

    Raises:
        InputError: the file is damaged, lacks a column, or a row has a wrong emotion, Usage or pixel; the row
            is named by its line number in the file.
    """
    parts: list[Fer2013] = []
    for chunk in read_table(file, ("emotion", "pixels", "Usage")):
        emotions = codes(chunk, "emotion", {code: int(code) for code in CODES["fer2013"]}, file)
        usages = codes(chunk, "Usage", USAGES, file)
        parts.append(Fer2013(_pixels(chunk, file), emotions, usages))
    if not sum(len(part.emotions) for part in parts):
        raise InputError(f"{file} has no rows")
    return Fer2013(*(np.concatenate(column) for column in zip(*map(_columns, parts), strict=True)))


def _columns(part: Fer2013) -> tuple[npt.NDArray[Any], ...]:
    return part.pixels, part.emotions, part.parts


def _pixels(chunk: Any, file: Path) -> Pixels:
    pixels = np.empty((len(chunk), SIDE, SIDE, 1), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for number, (line, text) in enumerate(chunk["pixels"].items()):
            pixels[number] = _image(text, f"{file} line {line}")
    return pixels


def _image(text: str, where: str) -> npt.NDArray[np.int64]:
    try:
        # Five times as fast as int() a number; what is no number NumPy announces by a warning, an error here.
        values = np.fromstring(text, np.int64, sep=" ")
    except (DeprecationWarning, ValueError) as error:
        raise InputError(f"{where}: a pixel is no whole number") from error
    if len(values) != SIDE * SIDE:
        raise InputError(f"{where}: {len(values)} pixels where {SIDE * SIDE} are expected")
    if values.min() < 0 or values.max() > 255:
        raise InputError(f"{where}: a pixel is outside 0..255")
    return values.reshape(SIDE, SIDE, 1)


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Read FER2013 with its own seven labels, or those of them that ``label_set`` keeps; see ``Reader``."""
    table, labels = parse(locate(path)), LABEL_SETS[label_set]
    names = list(CODES["fer2013"].values())
    numbers, dropped = numbers_of([names[code] for code in table.emotions.tolist()], labels)
    return Parsed(
        name="FER2013",
        label_set=labels,
        pixels=bring_to(table.pixels, size, channels),
        prints=fingerprints(table.pixels),
        labels=numbers,
        soft=one_hot(numbers, len(labels)),
        parts=table.parts,
        subjects=(None,) * len(numbers),
        dropped=dropped,
    )


READERS = (
    Reader(
        id="fer2013",
        layout="fer2013.csv or icml_face_data.csv, plain or as .gz, .xz, .zip",
        label_sets=FER2013_LABEL_SETS,
        finds=lambda path: bool(candidates(path)),
        sources=lambda path: (locate(path),),
        read=read,
    ),
)
