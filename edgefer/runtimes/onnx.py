"""ONNX files on ONNX Runtime: its CPU and its CUDA execution provider."""

from __future__ import annotations

from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgefer.contract import Loadable
from edgefer.errors import InputError, TargetMismatchError, TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import dequantize, feed_for

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


def _release() -> str:
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def _missing(provider: str) -> str:
    if not _release():
        return "needs onnxruntime; run: pip install 'edgefer[onnx]'"
    if provider == CUDA:
        import onnxruntime as ort

        if CUDA not in ort.get_available_providers():
            return f"needs {CUDA}: an NVIDIA GPU and the package onnxruntime-gpu instead of onnxruntime"
    return ""


class OnnxSession:
    """One ONNX file on ``provider`` with ``threads`` intra-op threads.

    Raises:
        TargetMismatchError: ONNX Runtime opened the session on another provider than asked, as it silently does.
    """

    def __init__(self, provider: str, artifact: Loadable, threads: int) -> None:
        if missing := _missing(provider):
            raise TargetUnavailableError(f"{artifact.path}: {missing}")
        self._session = _open(provider, artifact, threads)
        ran = self._session.get_providers()
        if ran[0] != provider:
            raise TargetMismatchError(
                f"{artifact.path}: asked for {provider}, the session has {', '.join(ran)}"
            )
        self._io = artifact.manifest.io
        self._spec = artifact.manifest.input
        self.executed_on = (
            f"onnxruntime {_release()} ({provider}, {threads} thread{'s' if threads > 1 else ''})"
        )

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to the feed dictionary."""
        return {self._io.input.name: feed_for(pixels, self._spec, self._io)}

    def run(self, feed: Any) -> Any:
        """One inference."""
        return self._session.run([self._io.output.name], feed)[0]

    def decode(self, outputs: Any) -> Floats:
        """To probabilities float32 (N, classes)."""
        return dequantize(outputs, self._io.output)


def _open(provider: str, artifact: Loadable, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its optimiser warns about every constant it folds
    try:
        return ort.InferenceSession(str(artifact.path), options, providers=[provider])
    except Exception as error:  # its exception classes share no public base
        raise InputError(f"{artifact.path}: ONNX Runtime refuses the file ({error})") from error


def _runtime(name: str, provider: str, *packages: str) -> Runtime:
    return Runtime(name, "onnx", partial(_missing, provider), partial(OnnxSession, provider), packages)


RUNTIMES = (
    _runtime("onnxruntime", CPU, "onnxruntime", "onnxruntime-gpu"),
    _runtime("onnxruntime-cuda", CUDA, "onnxruntime-gpu"),
)
