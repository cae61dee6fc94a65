"""Does an artifact still do what its backbone did? Replays the golden inputs; needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgefer.agreement import Tolerance, compare, lacks_proof
from edgefer.artifact import Artifact, open_artifact, open_damaged
from edgefer.errors import EdgeferError, TargetUnavailableError, VerificationError
from edgefer.registry import discover
from edgefer.runtimes.base import Runtime, predict
from edgefer.spec import Frozen


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


def verify(path: Path, *, threads: int = 1) -> Verification:
    """Check one artifact: hashes, labels, golden replay.

    Raises:
        InputError: the file is no artifact.
    """
    try:
        artifact = open_artifact(path)
    except VerificationError as error:
        reason = f"{error}{_closer_look(path)}"
        return Verification(artifact=str(path), format="", status="failed", reason=reason)
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
    try:
        replayed = predict(session, artifact.golden.inputs)
    except EdgeferError:
        raise
    except Exception as error:  # runtimes raise whatever they like at what a file does not take
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return _outcome(artifact, "failed", f"it cannot be run as its contract says ({said})")
    return _judge(artifact, replayed, session.executed_on)


def _closer_look(path: Path) -> str:
    """What else shows of a file that has not its hash, if a stand-in of our own can read it; on others it may crash."""
    artifact = open_damaged(path)
    ours = next((each for each in _runtimes(artifact) if each.stands_in), None)
    if ours is None:
        return ""
    try:
        session = ours.open(artifact, 1)
        found = compare(artifact.format, artifact.golden.outputs, predict(session, artifact.golden.inputs))
    except (
        EdgeferError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:  # all that nonsense of a program comes to
        return f". Looked at closely: {str(error).removeprefix(f'{path}: ')}"
    seen = found.broken or "within its tolerance all the same"
    return (
        f". Looked at closely, on the golden images: {seen} "
        f"(largest difference {found.max_abs:.2g}, mean {found.row_mean:.2g}, top-1 {found.top1:.0%})"
    )


def _runtimes(artifact: Artifact) -> list[Runtime]:
    """What can run the container, its own runtimes before those that stand in."""
    runtimes: dict[str, Runtime] = discover("edgefer.runtimes", "RUNTIMES")
    fitting = [each for each in runtimes.values() if each.container == artifact.container]
    return sorted(fitting, key=lambda each: each.stands_in)


def runtime_for(artifact: Artifact) -> Runtime:
    """What runs the container here: its own runtime, or else one that stands in for it.

    Of several, the first declared: the plain one on the CPU. Where none can run, the one whose lack is reported.
    """
    fitting = _runtimes(artifact)
    return next((each for each in fitting if not each.missing()), fitting[0])


def _judge(artifact: Artifact, replayed: npt.NDArray[np.float32], executed_on: str) -> Verification:
    expected = artifact.golden.outputs
    if replayed.shape != expected.shape:
        return _outcome(
            artifact, "failed", f"outputs have shape {replayed.shape}, the backbone's {expected.shape}"
        )
    found = compare(artifact.format, expected, replayed)
    return Verification(
        artifact=str(artifact.path),
        format=artifact.format,
        status="failed" if found.broken else "passed",
        reason=found.broken,
        max_abs=found.max_abs,
        row_mean=found.row_mean,
        top1_agreement=found.top1,
        tolerance=found.tolerance,
        executed_on=executed_on,
    )


def _outcome(artifact: Artifact, status: Literal["failed", "skipped"], reason: str) -> Verification:
    return Verification(artifact=str(artifact.path), format=artifact.format, status=status, reason=reason)
