"""Bench on machines that are reached by SSH, several side by side."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from edgefer.artifact import Artifact
from edgefer.bench.record import Kind, RunRecord
from edgefer.bench.runner import Job
from edgefer.bench.target import availability, for_accuracy, tells_accuracy
from edgefer.bench.throttling import SINCE_BOOT, signs
from edgefer.device.job import RESULT_FILE
from edgefer.device.shipping import kit
from edgefer.errors import EdgeferError, TargetUnavailableError
from edgefer.remote.following import Progress, follow
from edgefer.remote.packing import Content, Package, content_of, pack
from edgefer.remote.records import records
from edgefer.remote.refusing import refuse
from edgefer.remote.ssh import Connection, connect

NEEDED = ("numpy", "pillow")
Note = Callable[[str], None]


@dataclass(frozen=True)
class Host:
    """``address`` is anything that OpenSSH takes, ``python`` the one to run there.

    Without ``cache`` nothing that was sent stays there.
    """

    address: str
    python: str = "python3"
    cache: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of one host: records, or the error that ended it."""

    host: Host
    records: tuple[RunRecord, ...] = ()
    error: EdgeferError | None = None


def bench_on_hosts(
    artifacts: Sequence[Artifact], job: Job, hosts: Sequence[Host], progress: Progress, note: Note
) -> Iterator[Outcome]:
    """Run ``job`` on all ``hosts`` at the same time, and tell what came of each as soon as it is known.

    One that fails does not end the others.

    Raises:
        InputError, VerificationError: an artifact is refused; nothing was sent to anyone.
    """
    refuse(artifacts, job.target)
    pack(artifacts, job)  # what does not fit is refused before anyone is asked
    together = _Together(len(hosts), progress)
    with ThreadPoolExecutor(len(hosts)) as pool:
        runs = [
            pool.submit(_outcome, artifacts, job, host, partial(together.advance, number), note)
            for number, host in enumerate(hosts)
        ]
        try:
            yield from (run.result() for run in as_completed(runs))
        except (KeyboardInterrupt, GeneratorExit):
            together.interrupted.set()
            raise


class _Together:
    """The progress of several hosts as one, and the way to interrupt them: their next word ends them."""

    def __init__(self, count: int, progress: Progress) -> None:
        self.shares = [0.0] * count
        self.progress = progress
        self.interrupted = Event()

    def advance(self, number: int, done: float, total: float, remark: str) -> None:
        """Report of host ``number``."""
        if self.interrupted.is_set():
            raise KeyboardInterrupt
        self.shares[number] = done / total
        self.progress(sum(self.shares), len(self.shares), remark)


def _outcome(artifacts: Sequence[Artifact], job: Job, host: Host, progress: Progress, note: Note) -> Outcome:
    try:
        return Outcome(host, records=tuple(_bench(artifacts, job, host, progress, note)))
    except EdgeferError as error:
        return Outcome(host, error=error)


def _bench(
    artifacts: Sequence[Artifact], job: Job, host: Host, progress: Progress, note: Note
) -> list[RunRecord]:
    """One host from connection to records."""
    with tempfile.TemporaryDirectory(prefix="edgefer-run-") as folder:
        with connect(host.address, host.python) as there:
            facts = there.facts()
            if not job.batches:
                job = replace(job, target=for_accuracy(job.target, facts))
            package = pack(artifacts, job)
            _check(facts, job, package, host)
            note(f"{host.address}: {_describe(facts)}")
            if job.target.elsewhere:
                note(f"{host.address}: is no {job.target.title}: accuracy only, recorded as emulated")
            _run(there, package, Path(folder), host, progress, note)
        kind: Kind = "emulated" if job.target.elsewhere else "measured"
        return records(package, Path(folder), target=job.target.id, kind=kind, data=job.data)


def _run(
    there: Connection, package: Package, folder: Path, host: Host, progress: Progress, note: Note
) -> None:
    """Send, run, and bring the result into ``folder``."""
    files: dict[str, Content] = {f"job/{name}": content for name, content in package.files.items()}
    files |= {f"kit/{name}": path for name, path in kit().items()}
    hashes = {name: hashlib.sha256(content_of(content)).hexdigest() for name, content in files.items()}
    identity = hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()[:16]
    with _dropped(there, identity, cache=host.cache):
        sent = there.put(
            identity,
            files,
            hashes,
            lambda share: progress(share / 10, 1, f"{host.address}: send"),
            keep=host.cache,
        )
        note(f"{host.address}: sent {sent} of {len(set(hashes.values()))} files, the others were there")
        if not follow(there.run(identity), host.address, progress):
            raise TargetUnavailableError(f"{host.address}: the run ended there without a result")
        there.fetch(identity, [RESULT_FILE], folder)
        result = json.loads((folder / RESULT_FILE).read_bytes())
        there.fetch(identity, [t["probabilities"] for t in result["tasks"] if t["probabilities"]], folder)


@contextmanager
def _dropped(there: Connection, job: str, *, cache: bool) -> Iterator[None]:
    """End and remove the job on the host however the block ends, unless the connection is gone."""
    try:
        yield
    finally:
        there.stop()
        if not there.cut:
            there.drop(job, cache=cache)


def _check(facts: dict[str, Any], job: Job, package: Package, host: Host) -> None:
    """Hold the machine against what the target and the artifacts need.

    Raises:
        TargetUnavailableError: it lacks something; the message says what, and how to install it there.
    """
    if lack := availability(job.target, facts):
        raise TargetUnavailableError(
            f"{host.address}: target {job.target.id} is not there: it {lack}",
            hint="--accuracy-only scores its files there" if tells_accuracy(job.target, facts) else "",
        )
    wanted = [job.runtimes[task.runtime].packages for task in package.job.tasks]
    missing = [name for name in NEEDED if name not in facts["packages"]]
    missing += [
        names[0]
        for names in dict.fromkeys(wanted)
        if names and not any(n in facts["packages"] for n in names)
    ]
    if missing:
        raise TargetUnavailableError(
            f"{host.address}: {', '.join(missing)} not installed there", hint=_install(facts, host, missing)
        )


def _describe(facts: dict[str, Any]) -> str:
    """The machine in a line: what it is, how it is set, and whether it is held back before it has begun."""
    words = [
        facts["board"] or f"{facts['system']} {facts['machine']}",
        f"Python {facts['python']}",
        f"{facts['free_bytes'] / 1e9:.1f} GB free",
    ]
    if facts["governor"]:
        words.append(f"governor {facts['governor']}")
    if now := signs(facts["throttled"] or 0):
        words.append(f"held back right now ({now}): its times will not count")
    elif before := signs((facts["throttled"] or 0) >> SINCE_BOOT):
        words.append(
            f"held back since it was started ({before}): again would not show, so start it anew first"
        )
    return ", ".join(words)


def _install(facts: dict[str, Any], host: Host, missing: Sequence[str]) -> str:
    """The exact command that installs what is missing; a system's own Python gets an environment beside it."""
    names = " ".join(missing)
    if not facts["managed"]:
        return f"run: ssh {host.address} {facts['executable']} -m pip install {names}"
    inside = "~/edgefer-python"
    make = (
        f"{facts['executable']} -m venv --system-site-packages {inside} && {inside}/bin/pip install {names}"
    )
    return f"run: ssh {host.address} '{make}', then add --remote-python {inside}/bin/python"
