"""What a runtime offers: sessions that separate untimed preparation from the timed run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgefer.contract import Loadable
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.profiling import Profile


class Session(Protocol):
    """A loaded artifact. ``executed_on`` says what really runs it, e.g. ``litert 2.3.0 (XNNPACK, 2 threads)``."""

    executed_on: str

    def prepare(self, pixels: Pixels) -> Any:
        """Untimed: uint8 images (N, H, W, C) to the feed of this file; sets the batch size N where needed."""

    def run(self, feed: Any) -> Any:
        """Timed and synchronous: feed to raw outputs."""

    def decode(self, outputs: Any) -> Floats:
        """Untimed: raw outputs to class probabilities float32 (N, classes)."""


def _nothing(_: Loadable) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Runtime:
    """Runs artifacts of one container.

    ``missing()`` returns "" if it can run here, else what it needs; ``open(artifact, threads)`` loads a file. One of
    ``packages`` must be installed, the first is the one to install; on a remote machine that is all that is asked.
    ``explain(artifact)`` gives what the library itself tells about how it will run a file, as plain values.
    ``profile(artifact, threads, pixels, runs)`` asks the library's own profiler for the time of each operation at the
    batch size of ``pixels``; None: it has none that can be reached.
    ``any_batch``: its sessions take any number of images a call, whatever batch size the file is fixed to.
    ``stands_in``: it computes what the container's own runtime would, on machines that lack that one. Its answers count
    for accuracy, as emulated ones, and never for speed.
    ``own_threads``: its number of threads is not ours to set.
    """

    id: str
    container: str
    missing: Callable[[], str]
    open: Callable[[Loadable, int], Session]
    packages: tuple[str, ...] = ()
    explain: Callable[[Loadable], dict[str, Any]] = _nothing
    profile: Callable[[Loadable, int, Pixels, int], Profile] | None = None
    stands_in: bool = False
    any_batch: bool = False
    own_threads: bool = False


def predict(session: Session, pixels: Pixels, *, batch: int = 64) -> npt.NDArray[np.float32]:
    """Class probabilities float32 (N, classes) for uint8 images (N, H, W, C), ``batch`` rows at a time."""
    parts = [
        session.decode(session.run(session.prepare(pixels[start : start + batch])))
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts)
