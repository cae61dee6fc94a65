"""From parsed rows to a ``Dataset``: splits, leakage and duplicates, the same for every layout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import SPLITS, Census, Dataset, Parsed, Split, Subset
from edgefer.datasets.fingerprints import Fingerprints
from edgefer.errors import InputError
from edgefer.preprocessing import Pixels, read_pixels

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def one_hot(labels: Numbers, classes: int) -> npt.NDArray[np.float32]:
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


def census(prints: Fingerprints, parts: Numbers) -> Census:
    """Count rows, repeated rows and rows that also stand in the training split."""
    leaked = leaks(prints, parts)
    return Census(
        rows={split: int(np.sum(parts == part)) for part, split in enumerate(SPLITS)},
        duplicates=len(prints) - len(np.unique(prints)),
        leaked={split: int(leaked[parts == part].sum()) for part, split in enumerate(SPLITS) if part},
    )


def leaks(prints: Fingerprints, parts: Numbers) -> Mask:
    """Bool (N,): rows outside the training split whose image is in it."""
    leaked: Mask = np.isin(prints, prints[parts == 0]) & (parts != 0)
    return leaked


def assemble(
    parsed: Parsed,
    parts: Numbers,
    *,
    sources: Numbers | None = None,
    sets: tuple[str, ...] = (),
    absent: tuple[str, ...] = (),
) -> Dataset:
    """Split the rows that are kept by ``parts`` (N,); the rest as for ``Subset`` and ``Dataset``.

    Raises:
        InputError: no row is kept.
    """
    keep = parsed.keep
    if not keep.any():
        raise InputError(f"{parsed.name}: no row has a class of {parsed.label_set.source}")
    leaked = np.zeros_like(keep)
    leaked[keep] = leaks(parsed.prints[keep], parts[keep])
    sources = np.zeros_like(parts) if sources is None else sources
    rows = Subset(parsed.pixels, parsed.labels, parsed.soft, leaked, sources, parsed.prints)
    chosen = {split: np.flatnonzero(keep & (parts == part)) for part, split in enumerate(SPLITS)}
    tied = parsed.tied
    return Dataset(
        name=parsed.name,
        labels=parsed.label_set,
        splits={split: rows.take(found) for split, found in chosen.items() if len(found)},
        dropped=_dropped(parsed.dropped, parts),
        ties={} if tied is None else {split: int(tied[found].sum()) for split, found in chosen.items()},
        census={
            "file": census(parsed.prints, parts),
            "usable": census(parsed.prints[keep], parts[keep]),
        },
        synthetic=parsed.synthetic,
        sets=sets,
        absent=absent,
        skipped=parsed.skipped,
    )


def _dropped(reasons: dict[str, Mask], parts: Numbers) -> dict[Split, dict[str, int]]:
    """Count the rows left out a split, each under the first reason that holds."""
    counts: dict[Split, dict[str, int]] = {split: {} for split in SPLITS}
    left = np.ones(len(parts), np.bool_)
    for reason, rows in reasons.items():
        for part, split in enumerate(SPLITS):
            if count := int(np.sum(left & rows & (parts == part))):
                counts[split][reason] = count
        left &= ~rows
    return counts
