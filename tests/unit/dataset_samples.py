"""A data folder with small FER2013, CK+ and JAFFE look-alikes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

USAGES = ("Training",) * 8 + ("PublicTest",) * 3 + ("PrivateTest",) * 3
CK_CLASSES = ("anger", "contempt", "happy")
CK_PEOPLE, CK_FRAMES = 20, 3
JAFFE_PEOPLE = 10
JAFFE_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")


def face(seed: int, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def save(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)


def write_fer2013(folder: Path, seeds: Iterator[int] | None = None) -> Path:
    """One row of each emotion twice; image ``row`` is ``face(row)`` unless ``seeds`` says otherwise."""
    numbers = seeds or iter(range(len(USAGES)))
    lines = ["emotion,pixels,Usage"]
    for row, usage in enumerate(USAGES):
        pixels = " ".join(map(str, face(next(numbers)).ravel().tolist()))
        lines.append(f"{row % 7},{pixels},{usage}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "fer2013.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def write_ck(folder: Path) -> Path:
    """Person p shows one expression in three frames, ``face(1000 + 3 * p + frame)``."""
    for person in range(CK_PEOPLE):
        for frame in range(CK_FRAMES):
            name = f"S{person:03d}_001_{frame:08d}.png"
            save(folder / CK_CLASSES[person % 3] / name, face(1000 + CK_FRAMES * person + frame))
    return folder


def write_jaffe(folder: Path) -> Path:
    """Each person shows all seven, 64x64."""
    for person in range(JAFFE_PEOPLE):
        for number, code in enumerate(JAFFE_CODES):
            name = f"{chr(65 + person)}A.{code}1.{7 * person + number}.tiff"
            save(folder / name, face(2000 + 7 * person + number, 64))
    return folder


def write_all(root: Path) -> Path:
    write_fer2013(root)
    write_ck(root / "CK+48")
    write_jaffe(root / "jaffe")
    return root
