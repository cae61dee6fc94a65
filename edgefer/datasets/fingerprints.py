"""Numbers by which images are told apart, whatever kind of file they stand in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Fingerprints = npt.NDArray[np.uint64]


def fingerprint(image: npt.NDArray[np.uint8]) -> int:
    """A 64-bit hash of an image (H, W, 1 or 3); gray counts as three equal channels.

    Any two of a million images collide with a chance below one in ten million.
    """
    height, width, channels = image.shape
    coloured = image if channels == 3 else np.repeat(image, 3, axis=2)
    content = repr((width, height)).encode() + coloured.tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def fingerprints(pixels: Iterable[npt.NDArray[np.uint8]]) -> Fingerprints:
    """Hash images, (N,): equal pixels have equal numbers, others (see ``fingerprint``) different ones."""
    return np.array([fingerprint(image) for image in pixels], np.uint64)


def as_text(prints: Fingerprints) -> list[str]:
    """Fingerprints (N,) as 16 hexadecimal digits each, the form in which files hold them."""
    return [f"{one:016x}" for one in prints.tolist()]
