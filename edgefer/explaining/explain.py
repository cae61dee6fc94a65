"""Explains one file on one target: timed without a profiler beside the machine's peak, then profiled, then judged."""

from __future__ import annotations

import datetime
from collections.abc import Callable
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
from edgefer.explaining.record import SCHEMA, Against, Explanation, Layer
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.profiling import Profile

RUNS = range(40, 400)  # of which the quieter half counts; as many of them as take PROFILING seconds
PROFILING = 1.5
Advance = Callable[[float], None]


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
    started = datetime.datetime.now(datetime.UTC)
    files = [artifact] if against is None else [artifact, against]
    runtimes = [_profilable(each, job) for each in files]
    pixels = _pixels(artifact, batch)
    sessions = [runtime.open(each, job.used_threads) for each, runtime in zip(files, runtimes, strict=True)]
    wanted = job.target.executed_on.get(artifact.container, "")
    if wanted not in sessions[0].executed_on:
        raise TargetMismatchError(
            f"{artifact.path}: wanted {wanted}, but it runs on {sessions[0].executed_on}"
        )
    runs: dict[str | int, Callable[[], object]] = {
        number: partial(session.run, session.prepare(pixels)) for number, session in enumerate(sessions)
    }
    large = products(runtimes[0], job.used_threads)
    timed = measure(runs | dict(large), job.plan, advance=advance)
    profiles = [
        _profiled(runtime, each, job, pixels, timed[number])
        for number, (runtime, each) in enumerate(zip(runtimes, files, strict=True))
    ]
    weights, zeros = _zeros(artifact)
    found = Explanation(
        schema=SCHEMA,
        name=artifact.manifest.name,
        format=artifact.format,
        sha256=artifact.sha256,
        target=job.target.id,
        executed_on=sessions[0].executed_on,
        started=started.isoformat(timespec="seconds"),
        environment=environment(job.used_threads),
        batch=batch,
        source=profiles[0].source,
        resolution_ns=profiles[0].resolution_ns,
        runs=profiles[0].runs,
        latency_ns=_median(timed[0]),
        profiled_ns=profiles[0].whole_ns,
        layers=_layers(artifact, profiles[0], batch),
        peaks=peaks(artifact.container, {numbers: min(timed[numbers].samples_ns) / 1e9 for numbers in large}),
        macs=artifact.manifest.cost.macs if artifact.manifest.cost else None,
        weights=weights,
        zeros=zeros,
        against=_against(against, timed[1], profiles[1], batch) if against else None,
        unstable=timed[0].unstable,
    )
    return msgspec.structs.replace(found, findings=findings(found))


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


def _against(artifact: Artifact, samples: Samples, profile: Profile, batch: int) -> Against:
    by_group: dict[str, float] = {}
    for layer in _layers(artifact, profile, batch):
        by_group[layer.group] = by_group.get(layer.group, 0.0) + layer.ns
    return Against(
        name=artifact.manifest.name,
        format=artifact.format,
        sha256=artifact.sha256,
        latency_ns=_median(samples),
        by_group_ns=by_group,
    )


def _median(samples: Samples) -> float:
    return float(np.median(samples.samples_ns))
