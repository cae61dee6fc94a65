"""Core ML packages on any machine: their programs evaluated by ``edgefer.runtimes.mil``, numpy's arithmetic.

It stands in for Core ML where that is missing: what it says of accuracy holds there, of speed nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgefer.contract import Loadable
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import feed_for

if TYPE_CHECKING:
    from edgefer.runtimes.mil.executor import Observe


class MilSession:
    """One package, on ``threads`` threads of numpy's matrix products.

    Raises:
        TargetUnavailableError: the package has an operation that is not known here.
        InputError: the package is damaged.
        VerificationError: the package is not what its contract says.
    """

    def __init__(self, artifact: Loadable, threads: int) -> None:
        from edgefer.runtimes.mil.contract import refuse_other
        from edgefer.runtimes.mil.package import open_package

        self._threads = threads
        self._package = open_package(artifact.path)
        self._spec = artifact.manifest.input
        self._io = artifact.manifest.io
        refuse_other(artifact, self._package.model)
        self.executed_on = f"reference executor ({self._package.executor.precision})"

    def prepare(self, pixels: Pixels) -> dict[str, Floats]:
        """Pixels to the program's input (N, ...): an image as float32 (N, C, H, W) in the package's colour order."""
        return self._package.feed(feed_for(pixels, self._spec, self._io).astype(np.float32))

    def run(self, feed: Any, *, observe: Observe | None = None) -> Floats:
        """The classifier's probabilities; ``observe`` sees every intermediate result (``Executor.run``)."""
        from edgefer.runtimes.mil.threads import limited

        with limited(self._threads):
            return self._package.executor.run(feed, observe=observe)[self._io.output.name]

    def decode(self, outputs: Any) -> Floats:
        """Probabilities float32 (N, classes); the classes are the contract's, in order."""
        return np.asarray(outputs, np.float32)


def _missing() -> str:
    """Numpy is all it takes."""
    return ""


RUNTIMES = (Runtime("coreml-reference", "coreml", _missing, MilSession, stands_in=True, any_batch=True),)
