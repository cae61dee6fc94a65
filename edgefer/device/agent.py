"""Does a job on the machine it runs on: ``python -m edgefer.device.agent JOB_FOLDER [--share K/N]``.

It proves each artifact on its golden images, then measures cold starts, then latency, then answers the rows. On
standard output stands one JSON object a line:

- ``{"progress": [done, total, remark]}``
- ``{"error": {"kind": …, "message": …, "hint": …, "exit_code": …}}``, after which it exits with that code
- ``{"result": "result.json"}`` as the last one

``result.json`` holds ``started``, ``run`` (a name of this run alone), ``machine`` (see ``edgefer.bench.machine``),
``environment``, ``invalid`` (why the times do not count, or "") and a list ``tasks``: ``sha256`` of the artifact,
``executed_on``, ``counter`` (of energy), ``golden`` (see ``edgefer.device.proving``), ``cold``, ``timings``,
``notes``, ``details`` and ``probabilities`` (a file name, or "").
With ``--share`` only that share of the rows is answered and no result is written; run it without afterwards.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import edgefer
from edgefer.bench.cold import measure_cold
from edgefer.bench.environment import default_threads, environment, load_average
from edgefer.bench.latency import energy_counter, latency
from edgefer.bench.machine import facts
from edgefer.bench.receipts import Receipt, invalid_batches
from edgefer.bench.throttling import pace, spoilt
from edgefer.contract import DeviceFile, open_on_device
from edgefer.device.answering import answer, joined, npy_bytes
from edgefer.device.job import PIECES, RESULT_FILE, Job, Task, read_job
from edgefer.device.proving import prove
from edgefer.errors import (
    EdgeferError,
    InputError,
    TargetMismatchError,
    TargetUnavailableError,
    VerificationError,
)
from edgefer.files import sha256_of, write_atomic
from edgefer.registry import discover, lookup
from edgefer.runtimes.base import Runtime, Session

Advance = Callable[[float], None]
Progress = Callable[[float, float, str], None]
Piece = dict[str, Any]


@dataclass
class Loaded:
    """One task while it is done. The file is opened at once, the session when it is first needed."""

    number: int
    task: Task
    artifact: DeviceFile
    runtime: Runtime
    threads: int
    notes: list[str] = field(default_factory=list)

    @cached_property
    def session(self) -> Session:
        """The loaded artifact.

        Raises:
            TargetMismatchError: it runs on something else than the task says.
        """
        session = self.runtime.open(self.artifact, self.threads)
        if self.task.executed_on not in session.executed_on:
            wanted = f"{self.artifact.path}: wanted {self.task.executed_on}"
            raise TargetMismatchError(f"{wanted}, but it runs on {session.executed_on}")
        return session


@dataclass(frozen=True)
class Work:
    """A job, its folder, its tasks opened."""

    folder: Path
    job: Job
    threads: int
    loaded: tuple[Loaded, ...]

    def piece(self, name: str, make: Callable[[], Piece]) -> Piece:
        """What was found out under ``name``: by an earlier run, else by ``make``, in which case it is kept.

        How the machine kept its pace meanwhile stands beside it, as ``before`` and ``after``.
        """
        path = self.folder / PIECES / f"{name}.json"
        if path.exists():
            found: Piece = json.loads(path.read_bytes())
            return found
        before, load = pace(), load_average()
        found = make() | {"before": before, "load_before": load, "after": pace()}
        write_atomic(path, json.dumps(found).encode())
        return found


def open_work(folder: Path) -> Work:
    """Open what ``folder`` asks for, and refuse what cannot be done before anything is measured.

    Raises:
        InputError, VerificationError: the job or an artifact is not whole.
        TargetUnavailableError: a runtime is not there.
    """
    job = read_job(folder)
    runtimes: dict[str, Runtime] = discover("edgefer.runtimes", "RUNTIMES")
    threads = job.threads or default_threads()
    loaded = []
    for number, task in enumerate(job.tasks):
        runtime: Runtime = lookup("runtime", task.runtime, runtimes)
        if missing := runtime.missing():
            raise TargetUnavailableError(f"{task.artifact}: {missing}")
        loaded.append(Loaded(number, task, open_on_device(folder / task.artifact), runtime, threads))
    return Work(folder, job, threads, tuple(loaded))


def perform(work: Work, progress: Progress) -> None:
    """Do all of it and write ``result.json``.

    Raises:
        InputError: it was begun on another machine, with other packages or with other artifacts.
        VerificationError: an artifact does not answer its golden images as its backbone did.
        EdgeferError: one fails to load or run.
    """
    steps: list[tuple[str, Callable[[Advance], Piece]]] = [
        *((f"golden-{each.number}", partial(_golden, work, each)) for each in work.loaded),
        *((f"cold-{each.number}", partial(_cold, work, each)) for each in work.loaded if work.job.batches),
        *((f"latency-{batch}", partial(_latency, work, batch)) for batch in work.job.batches),
        *((f"rows-{each.number}", partial(_rows, work, each)) for each in work.loaded if each.task.rows),
    ]
    started = _started(work)
    pieces = {}
    for done, (name, step) in enumerate(steps):
        advance = partial(_tell, progress, name.replace("-", " "), done, len(steps))
        advance(0.0)
        pieces[name] = work.piece(name, partial(step, advance))
    write_atomic(work.folder / RESULT_FILE, json.dumps(_result(work, started, pieces)).encode())


def _started(work: Work) -> Piece:
    """What the run is about and where it was begun.

    Raises:
        InputError: what was measured before is of another machine, or of other files.
    """
    what = {"machine": facts(), "artifacts": [sha256_of(each.artifact.path) for each in work.loaded]}
    started = work.piece("started", lambda: {"at": _now(), "run": secrets.token_hex(8), **what})
    hint = "start it again in an empty folder"
    if started["machine"] != what["machine"]:
        raise InputError(
            f"{work.folder}: its run was begun on another machine, or with other packages", hint=hint
        )
    if started.get("artifacts") != what["artifacts"]:
        raise InputError(f"{work.folder}: its run was begun with other artifacts of these names", hint=hint)
    return started


def answer_share(work: Work, share: tuple[int, int], progress: Progress) -> None:
    """Answer one share of all rows, see ``edgefer.device.answering``."""
    asked = [each for each in work.loaded if each.task.rows]
    for done, each in enumerate(asked):
        advance = partial(_tell, progress, f"rows {each.number}", done, len(asked))
        answer(work.folder, each.number, work.job, each.session, advance, share)


def _golden(work: Work, each: Loaded, advance: Advance) -> Piece:
    """Replay the golden images."""
    del work, advance
    found = prove(each.artifact, each.session)
    if found["reason"]:
        name, where = each.artifact.path.name, each.session.executed_on
        raise VerificationError(f"{name}: on {where}: {found['reason']}{_figures(found)}")
    return {"executed_on": each.session.executed_on, "golden": found}


def _figures(found: dict[str, Any]) -> str:
    if "max_abs" not in found:
        return ""
    return f" (largest difference {found['max_abs']:.3g}, mean {found['row_mean']:.3g})"


def _cold(work: Work, each: Loaded, advance: Advance) -> Piece:
    """Cold start and peak memory in a fresh process; then what the runtime tells about the file."""
    del advance
    cold = measure_cold(each.artifact.path, each.runtime.id, work.threads)
    return {"cold": asdict(cold), "details": each.runtime.explain(each.artifact)}


def _latency(work: Work, batch: int, advance: Advance) -> Piece:
    """All artifacts that take this batch size, interleaved."""
    timed = latency(work.loaded, batch, work.job.plan, advance)
    timings = {str(each.number): {"batch": batch, **asdict(samples)} for each, samples in timed}
    notes = {str(each.number): each.notes.copy() for each in work.loaded if each.notes}
    for each in work.loaded:
        each.notes.clear()
    return {"timings": timings, "notes": notes}


def _rows(work: Work, each: Loaded, advance: Advance) -> Piece:
    """Answers to the rows, joined to one file."""
    answer(work.folder, each.number, work.job, each.session, advance)
    name = f"probabilities-{each.number}.npy"
    write_atomic(work.folder / name, npy_bytes(joined(work.folder, each.number, work.job)))
    return {"probabilities": name}


def _result(work: Work, started: Piece, pieces: dict[str, Piece]) -> dict[str, Any]:
    """Put the pieces together."""
    timed = [piece for name, piece in pieces.items() if name.startswith(("cold", "latency"))]
    reasons = [reason for piece in timed if (reason := spoilt(piece["before"], piece["after"]))]
    timings = [timing for piece in timed for timing in piece.get("timings", {}).values()]
    busy = invalid_batches({timing["batch"]: Receipt(**timing["receipt"]) for timing in timings})
    around = environment(work.threads)
    around |= {"load_before": started["load_before"], "load_after": load_average()}
    return {
        "started": started["at"],
        "run": started["run"],
        "machine": started["machine"],
        "environment": around,
        "invalid": reasons[0] if reasons else busy,
        "tasks": [
            _task_result(each, sha256, pieces)
            for each, sha256 in zip(work.loaded, started["artifacts"], strict=True)
        ],
    }


def _task_result(each: Loaded, sha256: str, pieces: dict[str, Piece]) -> dict[str, Any]:
    number = str(each.number)
    golden, cold = pieces[f"golden-{number}"], pieces.get(f"cold-{number}", {})
    by_batch = [piece for name, piece in pieces.items() if name.startswith("latency-")]
    return {
        "sha256": sha256,
        "executed_on": golden["executed_on"],
        "counter": {"energy": energy_counter(golden["executed_on"])} if by_batch else {},
        "golden": golden["golden"],
        "cold": cold.get("cold"),
        "details": cold.get("details", {}),
        "timings": [piece["timings"][number] for piece in by_batch if number in piece["timings"]],
        "notes": [note for piece in by_batch for note in piece["notes"].get(number, [])],
        "probabilities": pieces.get(f"rows-{number}", {}).get("probabilities", ""),
    }


def _tell(progress: Progress, remark: str, done: int, total: int, share: float) -> None:
    progress(done + share, total, remark)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _share(text: str) -> tuple[int, int]:
    """``K/N`` as numbers."""
    number, _, count = text.partition("/")
    return int(number), int(count)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m edgefer.device.agent")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--share", type=_share, help="K/N: answer every N-th piece of the rows from the K-th on"
    )
    options = parser.parse_args()
    # The cold start's process has to find this very package.
    os.environ["PYTHONPATH"] = str(Path(edgefer.__file__).parent.parent)
    try:
        return _run(options.folder, options.share)
    except EdgeferError as error:
        return _fail(type(error).__name__, error.message, error.hint, error.exit_code)
    except OSError as error:
        reason = f"{error.filename or 'file system'}: {error.strerror or error}"
        return _fail("OSError", reason, "", 2)


def _run(folder: Path, share: tuple[int, int] | None) -> int:
    def progress(done: float, total: float, remark: str) -> None:
        _say({"progress": [round(done, 4), total, remark]})

    work = open_work(folder)
    if share is not None:
        answer_share(work, share, progress)
        return 0
    perform(work, progress)
    _say({"result": RESULT_FILE})
    return 0


def _fail(kind: str, message: str, hint: str, code: int) -> int:
    _say({"error": {"kind": kind, "message": message, "hint": hint, "exit_code": code}})
    return code


if __name__ == "__main__":
    sys.exit(main())
