"""From parsed rows to a ``Dataset``: splits, leakage and duplicates, the same for every layout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import SPLITS, Census, Dataset, Subset
from edgefer.preprocessing import Pixels, read_pixels
from edgefer.spec import LabelSet

Fingerprints = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Rows:
    """All rows of a source in file order.

    ``pixels`` uint8 (N, H, W, C); ``prints`` uint64 (N,) fingerprints of the images before any resizing;
    ``parts`` int64 (N,) positions in ``SPLITS``; ``labels`` int64 (N,); ``soft`` float32 (N, K).
    """

    pixels: Pixels
    prints: Fingerprints
    parts: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]


def fingerprint(image: bytes) -> int:
    """A 64-bit hash of bytes; any two of a million images collide with a chance below one in ten million."""
    return int.from_bytes(hashlib.blake2b(image, digest_size=8).digest(), "little")


def fingerprints(pixels: Iterable[npt.NDArray[np.uint8]]) -> Fingerprints:
    """Hash images, (N,): equal pixels have equal numbers, others (see ``fingerprint``) different ones."""
    return np.array([fingerprint(image.tobytes()) for image in pixels], np.uint64)


def one_hot(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Certain targets float32 (N, classes) for class numbers (N,)."""
    return np.eye(classes, dtype=np.float32)[labels]


def bring_to(pixels: Pixels, size: tuple[int, int], channels: int) -> Pixels:
    """Resize gray uint8 (N, H, W, 1) to (N, *size, channels) with the resizing that devices use."""
    from PIL import Image

    if pixels.shape[1:3] != size:
        height, width = size
        resized = np.empty((len(pixels), height, width, 1), np.uint8)
        for number, image in enumerate(pixels):
            gray = Image.fromarray(image[..., 0])
            resized[number] = read_pixels(gray, height=height, width=width, channels=1)
        pixels = resized
    return np.repeat(pixels, 3, axis=3) if channels == 3 else pixels


def census(prints: Fingerprints, parts: npt.NDArray[np.int64]) -> Census:
    """Count rows, repeated rows and rows that also stand in the training split."""
    leaked = leaks(prints, parts)
    return Census(
        rows={split: int(np.sum(parts == part)) for part, split in enumerate(SPLITS)},
        duplicates=len(prints) - len(np.unique(prints)),
        leaked={split: int(leaked[parts == part].sum()) for part, split in enumerate(SPLITS) if part},
    )


def leaks(prints: Fingerprints, parts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Bool (N,): rows outside the training split whose image is in it."""
    leaked: npt.NDArray[np.bool_] = np.isin(prints, prints[parts == 0]) & (parts != 0)
    return leaked


def assemble(
    name: str,
    labels: LabelSet,
    rows: Rows,
    *,
    keep: npt.NDArray[np.bool_] | None = None,
    **facts: Any,
) -> Dataset:
    """Split the rows that ``keep`` (all if None) names; ``facts`` are further fields of the ``Dataset``."""
    keep = np.ones(len(rows.labels), np.bool_) if keep is None else keep
    leaked = np.zeros_like(keep)
    leaked[keep] = leaks(rows.prints[keep], rows.parts[keep])
    splits = {}
    for part, split in enumerate(SPLITS):
        chosen = np.flatnonzero(keep & (rows.parts == part))
        if len(chosen):
            splits[split] = Subset(rows.pixels, rows.labels, rows.soft, leaked).take(chosen)
    whole, usable = census(rows.prints, rows.parts), census(rows.prints[keep], rows.parts[keep])
    return Dataset(name, labels, splits, census={"file": whole, "usable": usable}, **facts)
