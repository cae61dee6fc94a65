"""TFLite files on LiteRT (``ai-edge-litert``) or its predecessor ``tflite-runtime``, whichever is installed.

A runtime a kernel set: XNNPACK, which is the default, TFLite's own optimized kernels, and its reference kernels. Their
answers to an int8 file can differ by many steps, so a number without its kernels is worth little.
"""

from __future__ import annotations

import importlib
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edgefer.contract import Loadable
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.quieting import quiet_native
from edgefer.runtimes import litert_profile
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import dequantize, feed_for
from edgefer.runtimes.profiling import Profile

_PACKAGES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}


# What the sessions are called by, and the op resolver that gives these kernels.
RESOLVERS = {
    "XNNPACK": "AUTO",
    "builtin kernels": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference kernels": "BUILTIN_REF",
}


def _installed() -> tuple[str, str, str] | None:
    for package, module in _PACKAGES.items():
        try:
            return package, version(package), module
        except PackageNotFoundError:
            continue
    return None


def _missing() -> str:
    return (
        "" if _installed() else "needs ai-edge-litert (or tflite-runtime); run: pip install 'edgefer[tflite]'"
    )


class LiteRTSession:
    """One TFLite file on ``threads`` threads of the CPU. Changing the batch size reallocates in ``prepare``."""

    def __init__(self, kernels: str, artifact: Loadable, threads: int) -> None:
        found = _installed()
        if found is None:
            raise TargetUnavailableError(f"{artifact.path}: {_missing()}")
        package, release, module = found
        library: Any = importlib.import_module(module)
        self._who = f"{artifact.path}: {package} {release}"
        try:
            with quiet_native():
                self._interpreter = library.Interpreter(
                    model_path=str(artifact.path),
                    num_threads=threads,
                    experimental_op_resolver_type=getattr(library.OpResolverType, RESOLVERS[kernels]),
                )
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{self._who} refuses the file ({error})") from error
        self._io = artifact.manifest.io
        self._spec = artifact.manifest.input
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self._batch = 0
        self._allocate(tuple(self._interpreter.get_input_details()[0]["shape"]))
        plural = "s" if threads > 1 else ""
        self.executed_on = f"{package} {release} (CPU, {self._ran(kernels)}, {threads} thread{plural})"

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to the file's input array; reallocates the tensors for a new batch size."""
        feed = feed_for(pixels, self._spec, self._io)
        if len(feed) != self._batch:
            self._allocate(feed.shape)
            self._batch = len(feed)
        return feed

    def _ran(self, kernels: str) -> str:
        """Which kernels run the file: the runtime hands XNNPACK what it can, in one piece or more, or nothing."""
        if kernels == "reference kernels":
            return kernels
        pieces = [op["op_name"] for op in self._interpreter._get_ops_details()].count("DELEGATE")
        if not pieces:
            return "builtin kernels"
        return "XNNPACK" if pieces == 1 else f"XNNPACK in {pieces} pieces"

    def _allocate(self, shape: tuple[int, ...]) -> None:
        try:
            with quiet_native():
                self._interpreter.resize_tensor_input(self._input, shape, strict=False)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{self._who} cannot run it with input {shape} ({error})") from error

    def run(self, feed: Any) -> Any:
        """One inference, copies in and out included."""
        self._interpreter.set_tensor(self._input, feed)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)

    def decode(self, outputs: Any) -> Floats:
        """Dequantize to probabilities float32 (N, classes)."""
        return dequantize(np.asarray(outputs), self._io.output)


def _profile(kernels: str, artifact: Loadable, threads: int, pixels: Pixels, runs: int) -> Profile:
    shape = feed_for(pixels, artifact.manifest.input, artifact.manifest.io).shape
    return litert_profile.profile(kernels, artifact, threads, shape, runs)


def _runtime(name: str, kernels: str) -> Runtime:
    return Runtime(
        name,
        "tflite",
        _missing,
        partial(LiteRTSession, kernels),
        packages=tuple(_PACKAGES),
        profile=partial(_profile, kernels),
    )


RUNTIMES = (
    _runtime("litert", "XNNPACK"),
    _runtime("litert-builtin", "builtin kernels"),
    _runtime("litert-reference", "reference kernels"),
)
