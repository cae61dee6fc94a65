"""Pictures that a deep network tells apart after some dozen steps, in the layouts of FER2013, FER+, CK+ and JAFFE.

An almost untrained network answers at random or always the same, and verification rightly refuses its int8 files.
Drawn patterns take the place of faces here: brightness and stripes say the expression.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edgefer.datasets.labels import FERPLUS

ROWS = {"Training": 32, "PublicTest": 6, "PrivateTest": 6}  # of each of FER+'s nine classes
# FER+'s classes as FER2013 calls them; it knows neither contempt nor unknown and says disgust and neutral.
EMOTIONS = {
    "neutral": 6, "happiness": 3, "surprise": 5, "sadness": 4, "anger": 0, "disgust": 1, "fear": 2,
    "contempt": 1, "unknown": 6,
}  # fmt: skip
CK_FOLDERS = {"anger": "anger", "fear": "fear", "happy": "happiness", "sadness": "sadness"}
CK_PEOPLE, CK_FRAMES = 12, 3
JAFFE_PEOPLE = 10
JAFFE_CODES = {"AN": "anger", "FE": "fear", "HA": "happiness", "NE": "neutral", "SU": "surprise"}


def write_all(root: Path) -> Path:
    """A data folder with all four sets; whatever a shipped recipe asks for is found there, AffectNet excepted."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    _write_fer(root, rng)
    _write_ck(root / "CK+48", rng)
    _write_jaffe(root / "jaffe", rng)
    return root


def picture(name: str, rng: np.random.Generator, side: int = 48) -> np.ndarray:
    """One of three levels of gray with no, level or upright stripes, and noise: uint8 (side, side)."""
    level, stripes = divmod(FERPLUS.index(name), 3)
    rows, columns = np.mgrid[:side, :side] * (6 * 2 * np.pi / side)
    wave = (0 * rows, np.sin(rows + rng.uniform(0, 6)), np.sin(columns + rng.uniform(0, 6)))[stripes]
    image = (45, 128, 210)[level] + 40 * wave + rng.normal(0, 6, (side, side))
    return np.clip(image, 0, 255).astype(np.uint8)


def _write_fer(root: Path, rng: np.random.Generator) -> None:
    """``fer2013.csv`` and the taggers' votes, all ten for one class."""
    images, votes = ["emotion,pixels,Usage"], [",".join(("Usage", "Image name", *FERPLUS, "NF"))]
    for usage, count in ROWS.items():
        for name in FERPLUS * count:
            pixels = " ".join(map(str, picture(name, rng).ravel().tolist()))
            images.append(f"{EMOTIONS[name]},{pixels},{usage}")
            found = ",".join("10" if other == name else "0" for other in FERPLUS)
            votes.append(f"{usage},fer{len(votes):07d}.png,{found},0")
    (root / "fer2013.csv").write_text("\n".join(images) + "\n")
    (root / "fer2013new.csv").write_text("\n".join(votes) + "\n")


def _write_ck(folder: Path, rng: np.random.Generator) -> None:
    for person in range(CK_PEOPLE):
        for number, (place, name) in enumerate(CK_FOLDERS.items()):
            for frame in range(CK_FRAMES):
                file = f"S{person:03d}_{number:03d}_{frame:08d}.png"
                _save(folder / place / file, picture(name, rng))


def _write_jaffe(folder: Path, rng: np.random.Generator) -> None:
    for person in range(JAFFE_PEOPLE):
        for number, (code, name) in enumerate(JAFFE_CODES.items()):
            _save(folder / f"{chr(65 + person)}A.{code}1.{7 * person + number}.tiff", picture(name, rng, 64))


def _save(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)
