"""Core ML packages through coremltools' own predict, which exists on macOS only."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edgefer.artifact import Artifact
from edgefer.errors import TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import feed_for
from edgefer.runtimes.mil.contract import refuse_other
from edgefer.runtimes.mil.package import describe


def _missing() -> str:
    if platform.system() != "Darwin":
        return "needs macOS"
    try:
        version("coremltools")
    except PackageNotFoundError:
        return "needs coremltools; run: pip install coremltools"
    return ""


class CoreMLSession:
    """One package on all compute units.

    An image input takes one image a call, so a batch is Core ML's batch predict over N images. ``threads`` is not
    ours to set there.

    Raises:
        TargetUnavailableError: this is no Mac, or coremltools is missing.
        VerificationError: the package is not what its contract says.
    """

    def __init__(self, artifact: Artifact, threads: int) -> None:
        del threads
        if _missing():
            raise TargetUnavailableError(f"{artifact.path}: {_missing()}")
        refuse_other(artifact, describe(artifact.path))
        import coremltools as ct

        self._model = ct.models.MLModel(str(artifact.path))
        self._spec = artifact.manifest.input
        self._io = artifact.manifest.io
        self._names = artifact.manifest.labels.names
        self.executed_on = f"Core ML (macOS {platform.mac_ver()[0]}, {self._model.compute_unit.name})"

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to one input dictionary an image."""
        feed = feed_for(pixels, self._spec, self._io)
        if self._io.mode == "float":
            return [{self._io.input.name: image[None]} for image in feed]
        from PIL import Image

        return [{self._io.input.name: Image.fromarray(image.squeeze())} for image in feed]

    def run(self, feed: Any) -> Any:
        """One batch predict."""
        return self._model.predict(feed)

    def decode(self, outputs: Any) -> Floats:
        """The classifier's dictionaries to float32 (N, classes) in label order."""
        rows = [[row[self._io.output.name][name] for name in self._names] for row in outputs]
        return np.asarray(rows, np.float32)


RUNTIMES = (Runtime("coreml", "coreml", _missing, CoreMLSession),)
