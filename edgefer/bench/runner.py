"""Runs artifacts on a target, all together, and writes down what came of it."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgefer.artifact import Artifact
from edgefer.bench.cold import Cold, measure_cold
from edgefer.bench.environment import default_threads, environment, load_average
from edgefer.bench.latency import energy_counter, latency
from edgefer.bench.measure import Plan
from edgefer.bench.receipts import invalid_batches
from edgefer.bench.record import SCHEMA, Accuracy, ArtifactRef, BatchTiming, ColdStart, RunRecord
from edgefer.bench.scoring import accuracy, scorable
from edgefer.bench.target import Target, missing_runtime
from edgefer.bench.throttling import pace, spoilt
from edgefer.contract import Loadable
from edgefer.datasets.base import Dataset
from edgefer.errors import InputError, TargetMismatchError, TargetUnavailableError
from edgefer.registry import discover
from edgefer.runtimes.base import Runtime, Session

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Job:
    """What to do with every artifact of a run.

    ``batches`` empty: no latency, cold start or memory, only accuracy. ``data`` gives the labelled images in
    the shape an artifact wants; None: no accuracy. ``threads`` 0: as many as the target says.
    ``runtimes`` and ``cold`` are the installed ones unless given.

    Raises:
        InputError: ``threads`` are stated and the target's runtimes set theirs themselves.
    """

    target: Target
    plan: Plan
    batches: tuple[int, ...] = ()
    threads: int = 0
    data: Callable[[Artifact], Dataset] | None = None
    runtimes: Mapping[str, Runtime] = field(default_factory=lambda: discover("edgefer.runtimes", "RUNTIMES"))
    cold: Callable[[Path, str, int], Cold] = measure_cold

    def __post_init__(self) -> None:
        ours = [name for name in self.target.runtimes.values() if not self._sets_threads(name)]
        if self.threads and not ours:
            raise InputError(
                f"target {self.target.id} sets its number of threads itself", hint="drop --threads"
            )

    def _sets_threads(self, runtime: str) -> bool:
        return runtime in self.runtimes and self.runtimes[runtime].own_threads

    @property
    def used_threads(self) -> int:
        """The number of threads every session is opened with."""
        return self.threads or self.target.options.threads or default_threads()

    def runtime(self, artifact: Loadable) -> Runtime:
        """What runs ``artifact`` on this target.

        Raises:
            InputError: the target does not take its format.
            TargetUnavailableError: the runtime is not installed or not there.
        """
        form = artifact.manifest.format
        if not self.target.takes(form):
            refused = f"{artifact.path}: target {self.target.id} does not take {form}"
            raise InputError(refused, hint=f"it takes: {', '.join(self.target.formats)}")
        if missing := missing_runtime(self.target, artifact.container, self.runtimes):
            raise TargetUnavailableError(f"target {self.target.id} cannot run {form}: {missing}")
        runtime = self.runtimes[self.target.runtimes[artifact.container]]
        if runtime.stands_in and self.batches:
            raise TargetUnavailableError(
                f"target {self.target.id}: {runtime.id} tells accuracy, never latency"
            )
        return runtime


@dataclass
class _Run:
    """One artifact while it is being measured."""

    artifact: Artifact
    runtime: Runtime
    session: Session
    timings: list[BatchTiming] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cold: Cold | None = None
    accuracy: Accuracy | None = None


def run(artifacts: Sequence[Artifact], job: Job, progress: Progress | None = None) -> list[RunRecord]:
    """Measure ``artifacts`` together, interleaved at each batch size; one record each, in the given order.

    Raises:
        InputError: an artifact or the data does not fit the target or each other.
        TargetUnavailableError: a runtime is missing.
        TargetMismatchError: a session runs somewhere else than the target says.
        EdgeferError: an artifact cannot be loaded in a process of its own, or fails while it runs.
    """
    runs = _open_all(artifacts, job)
    started, before, first = datetime.datetime.now(datetime.UTC), load_average(), pace()
    for done, (remark, part) in enumerate(parts := _parts(runs, job)):
        part(partial(_tell, progress, remark, done, len(parts)))
    around = environment(job.used_threads) | {"load_before": before, "load_after": load_average()}
    about = _About(
        started=started.isoformat(timespec="seconds"),
        run=secrets.token_hex(8),
        around=around,
        held_back=spoilt(first, around),
    )
    return [_record(each, job, about) for each in runs]


Part = tuple[str, Callable[[Callable[[float], None]], None]]


def _parts(runs: list[_Run], job: Job) -> list[Part]:
    """The work in the order it is done: the quiet cold starts first, the scores last."""
    parts: list[Part] = []
    if job.batches:
        parts += [
            (f"cold start, {each.artifact.path.name}", partial(_start_cold, each, job)) for each in runs
        ]
    parts += [(f"latency at batch {batch}", partial(_time, runs, batch, job)) for batch in job.batches]
    if job.data:
        parts += [(f"accuracy, {each.artifact.path.name}", partial(_score, each, job.data)) for each in runs]
    return parts


def _tell(progress: Progress | None, remark: str, done: int, total: int, share: float) -> None:
    """Report ``share`` of the part after the ``done`` ones."""
    if progress:
        progress(done + share, total, remark)


def _open_all(artifacts: Sequence[Artifact], job: Job) -> list[_Run]:
    """Refuse what can be refused before minutes are spent: runtimes, then data, then the files themselves."""
    chosen = [(artifact, job.runtime(artifact)) for artifact in artifacts]
    if job.data:
        for artifact in artifacts:
            scorable(artifact, job.data(artifact))
    return [_Run(artifact, runtime, open_session(artifact, runtime, job)) for artifact, runtime in chosen]


def open_session(artifact: Loadable, runtime: Runtime, job: Job) -> Session:
    """Load one artifact and hold what it says it runs on against the target.

    Raises:
        TargetMismatchError: it runs somewhere else.
    """
    session = runtime.open(artifact, job.used_threads)
    wanted = job.target.executed_on.get(artifact.container, "")
    if wanted not in session.executed_on:
        raise TargetMismatchError(
            f"{artifact.path}: target {job.target.id} wants {wanted}, but it runs on {session.executed_on}"
        )
    return session


def _start_cold(each: _Run, job: Job, advance: Callable[[float], None]) -> None:
    """Cold start and peak memory in a fresh process."""
    advance(0.0)
    each.cold = job.cold(each.artifact.path, each.runtime.id, job.used_threads)


def _time(runs: list[_Run], batch: int, job: Job, advance: Callable[[float], None]) -> None:
    """Latency of all artifacts that take this batch size, interleaved."""
    for each, samples in latency(runs, batch, job.plan, advance):
        each.timings.append(BatchTiming(batch=batch, **vars(samples)))


def _score(each: _Run, data: Callable[[Artifact], Dataset], advance: Callable[[float], None]) -> None:
    """Accuracy on the data's test split."""
    advance(0.0)
    each.accuracy = accuracy(each.session, each.artifact, data(each.artifact))


@dataclass(frozen=True)
class _About:
    """What all records of a run have in common."""

    started: str
    run: str
    around: dict[str, Any]
    held_back: str


def _record(each: _Run, job: Job, about: _About) -> RunRecord:
    """Put together what was found out about one artifact."""
    receipts = {timing.batch: timing.receipt for timing in each.timings if timing.receipt}
    counter = {"energy": energy_counter(each.session.executed_on)} if each.timings else {}
    return RunRecord(
        schema=SCHEMA,
        kind="emulated" if each.runtime.stands_in or job.target.elsewhere else "measured",
        artifact=reference(each.artifact),
        target=job.target.id,
        executed_on=each.session.executed_on,
        started=about.started,
        environment=about.around | counter,
        timings=tuple(each.timings),
        cold_start=cold_start(vars(each.cold)) if each.cold else None,
        peak_memory_bytes=each.cold.peak_memory_bytes if each.cold else None,
        accuracy=each.accuracy,
        notes=tuple(each.notes),
        invalid=about.held_back or invalid_batches(receipts),
        run=about.run,
    )


def cold_start(cold: Mapping[str, Any]) -> ColdStart:
    """The times of a ``Cold``, given as plain values."""
    return msgspec.convert({name: cold.get(name) for name in ColdStart.__struct_fields__}, ColdStart)


def reference(artifact: Artifact) -> ArtifactRef:
    """What identifies the artifact in a record."""
    manifest = artifact.manifest
    return ArtifactRef(
        name=manifest.name,
        format=manifest.format,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        backbone_sha256=manifest.backbone_sha256,
        labels=manifest.labels,
        lineage=manifest.lineage,
    )
