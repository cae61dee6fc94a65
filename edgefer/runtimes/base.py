"""What a runtime offers: sessions that separate untimed preparation from the timed run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgefer.artifact import Artifact
from edgefer.preprocessing import Floats, Pixels


class Session(Protocol):
    """A loaded artifact. ``executed_on`` says what really runs it, e.g. ``litert 2.3.0 (XNNPACK, 2 threads)``."""

    executed_on: str

    def prepare(self, pixels: Pixels) -> Any:
        """Untimed: uint8 images (N, H, W, C) to the feed of this file; sets the batch size N where needed."""

    def run(self, feed: Any) -> Any:
        """Timed and synchronous: feed to raw outputs."""

    def decode(self, outputs: Any) -> Floats:
        """Untimed: raw outputs to class probabilities float32 (N, classes)."""


@dataclass(frozen=True)
class Runtime:
    """Runs artifacts of one container.

    ``missing()`` returns "" if it can run here, else what it needs; ``open(artifact, threads)`` loads a file.
    ``stands_in``: it computes what the container's own runtime would, on machines that lack that one. Its answers count
    for accuracy, as emulated ones, and never for speed.
    """

    id: str
    container: str
    missing: Callable[[], str]
    open: Callable[[Artifact, int], Session]
    stands_in: bool = False


def predict(session: Session, pixels: Pixels, *, batch: int = 64) -> npt.NDArray[np.float32]:
    """Class probabilities float32 (N, classes) for uint8 images (N, H, W, C), ``batch`` rows at a time."""
    parts = [
        session.decode(session.run(session.prepare(pixels[start : start + batch])))
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts)
