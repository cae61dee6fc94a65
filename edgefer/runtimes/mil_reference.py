"""Core ML packages on any machine: their programs evaluated by ``edgefer.runtimes.mil``, numpy's arithmetic.

It stands in for Core ML where that is missing: what it says of accuracy holds there, of speed nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.artifact import Artifact
from edgefer.errors import VerificationError
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import feed_for
from edgefer.runtimes.mil.executor import Observe
from edgefer.runtimes.mil.package import Package, open_package


class MilSession:
    """One package. ``threads`` is numpy's own affair.

    Raises:
        InputError: the package is damaged, or has an operation that is not known.
        VerificationError: its classes or its input are not those of its contract.
    """

    def __init__(self, artifact: Artifact, threads: int) -> None:
        del threads
        self._package = open_package(artifact.path)
        self._spec = artifact.manifest.input
        self._io = artifact.manifest.io
        _refuse_other_contract(self._package, artifact)
        self.executed_on = f"reference executor ({self._package.executor.precision})"

    def prepare(self, pixels: Pixels) -> dict[str, Floats]:
        """Pixels to the program's input (N, ...): an image as float32 (N, C, H, W) in the package's colour order."""
        feed = feed_for(pixels, self._spec, self._io).astype(np.float32)
        if self._package.input.kind == "image":
            ordered = feed[..., ::-1] if self._package.input.color == "BGR" else feed
            feed = np.moveaxis(ordered, -1, 1)
        return {self._package.input.name: feed}

    def run(self, feed: Any, *, observe: Observe | None = None) -> Floats:
        """The classifier's probabilities; ``observe`` sees every intermediate result (``Executor.run``)."""
        return self._package.executor.run(feed, observe=observe)[self._io.output.name]

    def decode(self, outputs: Any) -> Floats:
        """Probabilities float32 (N, classes); the classes are the contract's, in order."""
        return np.asarray(outputs, np.float32)


def _refuse_other_contract(package: Package, artifact: Artifact) -> None:
    """A package that names other classes, or takes another input, than the contract attached to it."""
    manifest = artifact.manifest
    if package.classes != manifest.labels.names:
        raise VerificationError(
            f"{artifact.path}: its classifier answers with {', '.join(package.classes) or 'no classes'}; "
            f"its contract says {', '.join(manifest.labels.names)}",
            hint="the package was changed, or the contract is another model's; convert it again",
        )
    wanted = (manifest.io.input.name, _input_shape(artifact))
    if (found := (package.input.name, _taken_shape(package))) != wanted:
        raise VerificationError(
            f"{artifact.path}: takes {_words(*found)}; its contract says {_words(*wanted)}",
            hint="the package was changed, or the contract is another model's; convert it again",
        )


def _input_shape(artifact: Artifact) -> tuple[int | None, ...]:
    return artifact.manifest.io.input.shape[1:]


def _taken_shape(package: Package) -> tuple[int, ...]:
    """(height, width, channels) of an image; an array's shape without its batch."""
    feature = package.input
    if feature.kind == "image":
        return (*feature.size, 1 if str(feature.color).startswith("GRAYSCALE") else 3)
    return feature.shape[1:]


def _words(name: str, shape: tuple[int | None, ...]) -> str:
    return f"{name} of {'x'.join(map(str, shape))}"


def _missing() -> str:
    """Numpy is all it takes."""
    return ""


RUNTIMES = (Runtime("coreml-reference", "coreml", _missing, MilSession, stands_in=True),)
