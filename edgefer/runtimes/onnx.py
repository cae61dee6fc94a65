"""ONNX files on ONNX Runtime's CPU execution provider, and what its sessions on other providers share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgefer.contract import Loadable
from edgefer.errors import InputError, TargetMismatchError, TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes import onnx_profile
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import dequantize, feed_for
from edgefer.runtimes.profiling import Profile

CPU = "CPUExecutionProvider"
Providers = Sequence[str | tuple[str, dict[str, str]]]


def release() -> str:
    """The installed ONNX Runtime's version; "" if there is none."""
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def missing() -> str:
    """What is needed to run ONNX files at all."""
    return "" if release() else "needs onnxruntime; run: pip install 'edgefer[onnx]'"


class OnnxSession:
    """One ONNX file on the CPU with ``threads`` intra-op threads."""

    def __init__(self, artifact: Loadable, threads: int) -> None:
        if lack := missing():
            raise TargetUnavailableError(f"{artifact.path}: {lack}")
        self._session = open_session(artifact, options(threads), (CPU,))
        self._io = artifact.manifest.io
        self._spec = artifact.manifest.input
        self.executed_on = f"onnxruntime {release()} ({CPU}, {threads} thread{'s' if threads > 1 else ''})"

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to the feed dictionary."""
        return {self._io.input.name: feed_for(pixels, self._spec, self._io)}

    def run(self, feed: Any) -> Any:
        """One inference."""
        return self._session.run([self._io.output.name], feed)[0]

    def decode(self, outputs: Any) -> Floats:
        """To probabilities float32 (N, classes)."""
        return dequantize(outputs, self._io.output)


def options(threads: int) -> Any:
    """Session options with ``threads`` intra-op threads."""
    import onnxruntime as ort

    chosen = ort.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 3  # its optimiser warns about every constant it folds
    return chosen


def open_session(artifact: Loadable, chosen: Any, providers: Providers) -> Any:
    """An ``InferenceSession`` on the first of ``providers``; the others are for what that one cannot run.

    Raises:
        InputError: ONNX Runtime refuses the file.
        TargetMismatchError: it opened the session without the provider asked for, as it silently does.
    """
    import onnxruntime as ort

    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    try:
        session = ort.InferenceSession(str(artifact.path), chosen, providers=list(providers))
    except Exception as error:  # its exception classes share no public base
        raise InputError(f"{artifact.path}: ONNX Runtime refuses the file ({error})") from error
    ran = session.get_providers()
    if ran[0] != wanted:
        raise TargetMismatchError(f"{artifact.path}: asked for {wanted}, the session has {', '.join(ran)}")
    return session


def profiled(artifact: Loadable, chosen: Any, providers: Providers, pixels: Pixels, runs: int) -> Profile:
    """The profile of ``artifact`` on ``providers``, fed as a plain session is."""
    io = artifact.manifest.io
    feed = {io.input.name: feed_for(pixels, artifact.manifest.input, io)}

    def run(session: Any) -> None:
        session.run([io.output.name], feed)

    return onnx_profile.record(
        lambda with_profile: open_session(artifact, with_profile, providers), run, chosen, runs
    )


def _profile(artifact: Loadable, threads: int, pixels: Pixels, runs: int) -> Profile:
    if lack := missing():
        raise TargetUnavailableError(f"{artifact.path}: {lack}")
    return profiled(artifact, options(threads), (CPU,), pixels, runs)


RUNTIMES = (
    Runtime(
        "onnxruntime", "onnx", missing, OnnxSession, ("onnxruntime", "onnxruntime-gpu"), profile=_profile
    ),
)
