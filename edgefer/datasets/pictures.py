"""Image files to pixels and fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgefer.datasets.fingerprints import Fingerprints, fingerprint
from edgefer.errors import InputError
from edgefer.preprocessing import Pixels, open_picture, read_pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm")
NAMED = 3
"""Pictures that cannot be used that are named; more are counted."""
Box = tuple[int, int, int, int]


def pictures_in(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted; hidden ones are none."""
    return sorted(file for file in folder.iterdir() if is_picture(file))


def others_in(folder: Path) -> list[Path]:
    """The files directly in ``folder`` that are no images, sorted; hidden ones do not count."""
    files = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return sorted(file for file in files if not is_picture(file))


def is_picture(file: Path) -> bool:
    """Whether the name is an image's."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def decode(
    files: Sequence[Path], size: tuple[int, int], channels: int, boxes: Sequence[Box] | None = None
) -> tuple[Pixels, Fingerprints]:
    """Read images, cut to ``boxes`` (left, top, right, bottom) if given, as uint8 (N, *size, channels).

    The fingerprints (N,) are those of the decoded images before resizing, so that they do not depend on
    ``size``.

    Raises:
        InputError: a file is missing, truncated, no image, or smaller than its box; of several, all are counted.
    """
    pixels = np.empty((len(files), *size, channels), np.uint8)
    prints = np.empty(len(files), np.uint64)
    refused: list[InputError] = []
    for row, file in enumerate(files):
        try:
            pixels[row], prints[row] = _decode(file, size, channels, boxes[row] if boxes else None)
        except InputError as error:
            refused.append(error)
    if refused:
        raise _all_of(refused)
    return pixels, prints


def _all_of(refused: Sequence[InputError]) -> InputError:
    """One error that says how many pictures cannot be used, and which come first."""
    if len(refused) == 1:
        return refused[0]
    first = "; ".join(error.message for error in refused[:NAMED])
    more = f"; and {len(refused) - NAMED:,} more" if len(refused) > NAMED else ""
    return InputError(f"{len(refused):,} pictures cannot be used: {first}{more}", hint=refused[0].hint)


def _decode(file: Path, size: tuple[int, int], channels: int, box: Box | None) -> tuple[Pixels, int]:
    image = open_picture(file).convert("RGB")
    if box is not None:
        if not (0 <= box[0] < box[2] <= image.width and 0 <= box[1] < box[3] <= image.height):
            raise InputError(f"{file}: the face box {box} is not within {image.width}x{image.height} pixels")
        image = image.crop(box)
    seen = fingerprint(np.asarray(image))
    return read_pixels(image, height=size[0], width=size[1], channels=channels), seen
