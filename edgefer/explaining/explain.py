"""Explains one file on one target: timed without a profiler beside the machine's peak, then profiled, then judged."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.artifact import Artifact
from edgefer.bench.environment import environment
from edgefer.bench.measure import Samples, measure
from edgefer.bench.runner import Job
from edgefer.errors import InputError, TargetMismatchError, TargetUnavailableError
from edgefer.explaining import onnx_file, tflite_file
from edgefer.explaining.findings import findings
from edgefer.explaining.peak import peaks, products
from edgefer.explaining.record import SCHEMA, Against, Explanation, Layer, Peak, by_group
from edgefer.runtimes.base import Runtime, Session
from edgefer.runtimes.profiling import Profile

RUNS = range(40, 400)  # of which the quietest fifth counts; as many of them as take PROFILING seconds
PROFILING = 1.5
Advance = Callable[[float], None]


@dataclass(frozen=True)
class _Seen:
    """A file with what was found out about it."""

    artifact: Artifact
    executed_on: str
    samples: Samples
    profile: Profile
    layers: tuple[Layer, ...]

    @property
    def latency_ns(self) -> float:
        return _median(self.samples)


def explain(
    artifact: Artifact, against: Artifact | None, job: Job, batch: int, advance: Advance
) -> Explanation:
    """Time, profile and judge ``artifact``, beside ``against`` if it is given; ``job`` says target, threads and plan.

    Raises:
        InputError: the target does not take a file, or the two are of different containers.
        TargetUnavailableError: the runtime, or its profiler, is not there.
        TargetMismatchError: the file runs somewhere else than the target says.
    """
    if against is not None and against.container != artifact.container:
        raise InputError(
            f"{against.path} is {against.container}, {artifact.path} is {artifact.container}",
            hint="compare two files of one container, so that one profiler and one peak serve both",
        )
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    files = [artifact] if against is None else [artifact, against]
    runtimes = [_profilable(each, job) for each in files]
    sessions = [_open(runtime, each, job) for runtime, each in zip(runtimes, files, strict=True)]
    large, pixels = products(runtimes[0], job.used_threads), _pixels(artifact, batch)
    runs = {number: partial(session.run, session.prepare(pixels)) for number, session in enumerate(sessions)}
    timed = measure({**runs, **large}, job.plan, advance=advance)
    best = {numbers: min(timed[numbers].samples_ns) / 1e9 for numbers in large}
    seen = []
    for number, (runtime, each) in enumerate(zip(runtimes, files, strict=True)):
        profile = _profiled(runtime, each, job, pixels, timed[number])
        layers = _layers(each, profile, batch)
        seen.append(_Seen(each, sessions[number].executed_on, timed[number], profile, layers))
    found = _explanation(seen, peaks(artifact.container, best), job, batch, started)
    return msgspec.structs.replace(found, findings=findings(found))


def _explanation(
    seen: Sequence[_Seen], reached: tuple[Peak, ...], job: Job, batch: int, started: str
) -> Explanation:
    """The first file's record, with the second one as what it is held against."""
    first, manifest = seen[0], seen[0].artifact.manifest
    weights, zeros = _zeros(first.artifact)
    return Explanation(
        schema=SCHEMA,
        name=manifest.name,
        format=manifest.format,
        sha256=first.artifact.sha256,
        target=job.target.id,
        executed_on=first.executed_on,
        started=started,
        environment=environment(job.used_threads),
        batch=batch,
        source=first.profile.source,
        resolution_ns=first.profile.resolution_ns,
        runs=first.profile.runs,
        latency_ns=first.latency_ns,
        profiled_ns=first.profile.whole_ns,
        layers=first.layers,
        peaks=reached,
        macs=manifest.cost.macs if manifest.cost else None,
        weights=weights,
        zeros=zeros,
        against=_against(seen[1]) if len(seen) > 1 else None,
        unstable=first.samples.unstable,
    )


def _open(runtime: Runtime, artifact: Artifact, job: Job) -> Session:
    session = runtime.open(artifact, job.used_threads)
    wanted = job.target.executed_on.get(artifact.container, "")
    if wanted not in session.executed_on:
        raise TargetMismatchError(f"{artifact.path}: wanted {wanted}, but it runs on {session.executed_on}")
    return session


def _profilable(artifact: Artifact, job: Job) -> Runtime:
    runtime = job.runtime(artifact)
    if runtime.profile is None:
        raise TargetUnavailableError(
            f"target {job.target.id}: {runtime.id} has no profiler that tells single operations",
            hint="explain the tflite or onnx file of the same network",
        )
    return runtime


def _pixels(artifact: Artifact, batch: int) -> npt.NDArray[np.uint8]:
    """The file's own golden images, repeated to a batch."""
    images = artifact.golden.inputs
    repeated: npt.NDArray[np.uint8] = np.resize(images, (batch, *images.shape[1:]))
    return repeated


def _profiled(
    runtime: Runtime, artifact: Artifact, job: Job, pixels: npt.NDArray[np.uint8], timed: Samples
) -> Profile:
    assert runtime.profile
    runs = min(max(int(PROFILING * 1e9 / _median(timed)), RUNS.start), RUNS.stop)
    return runtime.profile(artifact, job.used_threads, pixels, runs)


def _layers(artifact: Artifact, profile: Profile, batch: int) -> tuple[Layer, ...]:
    if artifact.container == "onnx":
        return onnx_file.layers(artifact.path, profile.ops, batch)
    return tflite_file.layers(artifact.path, profile.ops)


def _zeros(artifact: Artifact) -> tuple[int, int]:
    reader = onnx_file.zeros if artifact.container == "onnx" else tflite_file.zeros
    return reader(artifact.path)


def _against(seen: _Seen) -> Against:
    return Against(
        name=seen.artifact.manifest.name,
        format=seen.artifact.format,
        sha256=seen.artifact.sha256,
        latency_ns=seen.latency_ns,
        by_group_ns=by_group(seen.layers),
    )


def _median(samples: Samples) -> float:
    return float(np.median(samples.samples_ns))
