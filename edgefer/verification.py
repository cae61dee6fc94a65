"""Does an artifact still do what its backbone did? Replays the golden inputs; needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgefer.artifact import Artifact, Golden, open_artifact
from edgefer.errors import TargetUnavailableError, VerificationError
from edgefer.registry import discover
from edgefer.runtimes.base import Runtime, predict
from edgefer.spec import Frozen


class Tolerance(Frozen, frozen=True):
    """What still counts as the same: the largest probability difference of all; the mean over rows of each row's
    largest difference; and the smallest share of decided rows with the same top-1 class.
    """

    max_abs: float
    row_mean: float
    top1: float


# How far an honest conversion of a trained network may be from it, per precision. The common errors (a wrong input
# range, colour order or label order) move golden rows by 0.5 and more on average and flip most of them.
TOLERANCES: dict[str, Tolerance] = {
    # float32 sums in another order: 1e-6 a layer, some hundred layers.
    "fp32": Tolerance(max_abs=1e-4, row_mean=1e-4, top1=1.0),
    # 11 significant bits (5e-4 relative) in weights, and in activations too in ONNX and Core ML: over a hundred layers
    # a few parts in a thousand on average, some ten times that in the worst row.
    "fp16": Tolerance(max_abs=0.03, row_mean=0.01, top1=0.93),
    # int8 weights cost most of what int8 costs; int16 activations add next to nothing.
    "int16x8": Tolerance(max_abs=1.0, row_mean=0.12, top1=0.8),
    # 8-bit weights and activations: a step is 1/256 of a tensor's range and errors add up over layers, so that a row
    # near a decision may flip altogether, two or three of sixteen; the mean stays small.
    "int8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "dynamic": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    # The same in Core ML's terms.
    "w8a8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    # 256, 64 or 16 weight values a layer.
    "pal8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "pal6": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "pal4": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
    # 16 values for eight channels; and 64 for what is left when the smallest weights are zero, which moved golden rows
    # of a trained network by 0.08 on average, where rounding to 64 values alone moves them by 0.006.
    "pal4g": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
    "sparse-pal6": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
}

# Golden outputs closer together than this would also "agree" with a broken file.
MIN_SPREAD = 0.1
# Where the backbone's own two best classes are closer than this it has not decided, and any rounding may turn them:
# such a row counts for the error, not for top-1.
DECIDED = 0.1


class Verification(Frozen, frozen=True):
    """The outcome for one artifact. The figures are None where nothing was run."""

    artifact: str
    format: str
    status: Literal["passed", "failed", "skipped"]
    reason: str = ""
    max_abs: float | None = None
    row_mean: float | None = None
    top1_agreement: float | None = None
    tolerance: Tolerance | None = None
    executed_on: str = ""


def spread_of(outputs: npt.NDArray[np.float32]) -> float:
    """The largest range of one class's probability over golden outputs (N, classes)."""
    return float(np.max(np.ptp(outputs, axis=0))) if len(outputs) else 0.0


def lacks_proof(golden: Golden) -> str:
    """Why agreement on these golden outputs would prove nothing, or ""."""
    spread = spread_of(golden.outputs)
    if spread < MIN_SPREAD:
        return f"golden outputs are nearly constant (spread {spread:.4f}): agreement on them proves nothing"
    if len(set(golden.outputs[_decided(golden.outputs)].argmax(axis=1).tolist())) < 2:
        return "golden outputs do not clearly name two classes: agreement on them proves nothing"
    return ""


def _decided(outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Rows (N,) of probabilities (N, classes) whose best class stands clear of the second."""
    best = np.sort(outputs, axis=1)
    clear: npt.NDArray[np.bool_] = best[:, -1] - best[:, -2] >= DECIDED
    return clear


def verify(path: Path, *, threads: int = 1) -> Verification:
    """Check one artifact: hashes, labels, golden replay.

    Raises:
        InputError: the file is no artifact.
    """
    try:
        artifact = open_artifact(path)
    except VerificationError as error:
        return Verification(artifact=str(path), format="", status="failed", reason=str(error))
    return verify_artifact(artifact, threads=threads)


def verify_artifact(artifact: Artifact, *, threads: int = 1) -> Verification:
    """Replay the golden inputs of an opened artifact on a runtime of its container.

    Raises:
        InputError: the runtime cannot read the file.
    """
    runtime = runtime_for(artifact)
    if reason := lacks_proof(artifact.golden):
        return _outcome(artifact, "failed", reason)
    if missing := runtime.missing():
        return _outcome(artifact, "skipped", missing)
    try:
        session = runtime.open(artifact, threads)
    except TargetUnavailableError as error:
        return _outcome(artifact, "skipped", str(error))
    except VerificationError as error:
        return _outcome(artifact, "failed", str(error))
    replayed = predict(session, artifact.golden.inputs)
    return _judge(artifact, replayed, session.executed_on)


def runtime_for(artifact: Artifact) -> Runtime:
    """What runs the container here: its own runtime, or else one that stands in for it.

    Of several, the first declared: the plain one on the CPU. Where none can run, the one whose lack is reported.
    """
    runtimes: dict[str, Runtime] = discover("edgefer.runtimes", "RUNTIMES")
    fitting = [each for each in runtimes.values() if each.container == artifact.container]
    fitting.sort(key=lambda each: each.stands_in)
    return next((each for each in fitting if not each.missing()), fitting[0])


def _judge(artifact: Artifact, replayed: npt.NDArray[np.float32], executed_on: str) -> Verification:
    expected = artifact.golden.outputs
    if replayed.shape != expected.shape:
        return _outcome(
            artifact, "failed", f"outputs have shape {replayed.shape}, the backbone's {expected.shape}"
        )
    tolerance = TOLERANCES[artifact.format.partition("-")[2]]
    rows = np.max(np.abs(replayed - expected), axis=1)
    max_abs, row_mean = float(np.max(rows)), float(np.mean(rows))
    same = replayed.argmax(axis=1) == expected.argmax(axis=1)
    agreement = float(np.mean(same[_decided(expected)]))
    # NaN is never close.
    close = max_abs <= tolerance.max_abs and row_mean <= tolerance.row_mean
    broken = not close or agreement < tolerance.top1
    reason = "outputs differ from the backbone's by more than the tolerance" if broken else ""
    return Verification(
        artifact=str(artifact.path),
        format=artifact.format,
        status="failed" if broken else "passed",
        reason=reason,
        max_abs=max_abs,
        row_mean=row_mean,
        top1_agreement=agreement,
        tolerance=tolerance,
        executed_on=executed_on,
    )


def _outcome(artifact: Artifact, status: Literal["failed", "skipped"], reason: str) -> Verification:
    return Verification(artifact=str(artifact.path), format=artifact.format, status=status, reason=reason)
