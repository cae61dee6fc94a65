"""What the scripts here write down about time and memory, and how they run a command for it."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from edgefer.files import write_atomic
from edgefer.spec import Frozen

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "records"
SCHEMA = 1


class Outcome(Frozen, frozen=True):
    """What became of one format: ``passed``, ``failed``, ``skipped`` or ``error``, and why."""

    format: str
    status: str
    reason: str = ""


class Cost(Frozen, frozen=True):
    """One thing that was run, once a fresh process: wall seconds of each run, in order.

    ``peak_bytes`` is the largest resident memory of any of those processes; None where it is not the point. A limit
    of None is no limit.
    """

    what: str
    seconds: tuple[float, ...]
    limit_seconds: float | None = None
    peak_bytes: int | None = None
    limit_bytes: int | None = None
    outcomes: tuple[Outcome, ...] = ()


class CostRecord(Frozen, frozen=True):
    """All costs of one script, and the machine they were taken on; ``remark`` says what was not as it should be.

    Schema history: 1 — first version.
    """

    schema: int
    started: str
    environment: dict[str, object]
    costs: tuple[Cost, ...]
    remark: str = ""


class Ran(NamedTuple):
    """A finished command: wall seconds, peak resident bytes of it and its children, standard output."""

    seconds: float
    peak_bytes: int
    output: str


def run(command: list[str], accepted: tuple[int, ...] = (0,)) -> Ran:
    """Run ``command`` in a fresh process.

    Raises:
        click.ClickException: it ended in another exit code than those accepted.
    """
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output, (_, status, usage) = process.stdout.read(), os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    if process.returncode not in accepted:
        raise click.ClickException(f"exit {process.returncode}: {' '.join(command)}")
    # Linux counts in kB, macOS in bytes.
    return Ran(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), output)


def edgefer(*words: object) -> list[str]:
    """The command line ``edgefer WORDS``, as the installed script runs it."""
    return [str(Path(sys.executable).with_name("edgefer")), *map(str, words)]


def save(name: str, costs: list[Cost], started: datetime.datetime) -> Path:
    """Write ``records/<name>.json``."""
    from edgefer.bench.environment import default_threads, environment

    stamp = started.isoformat(timespec="seconds")
    record = CostRecord(
        schema=SCHEMA, started=stamp, environment=environment(default_threads()), costs=tuple(costs)
    )
    path = RECORDS / f"{name}.json"
    write_json(path, record)
    return path


def write_json(path: Path, record: Frozen) -> None:
    """Write a record as indented JSON, atomically."""
    write_atomic(
        path, msgspec.json.format(msgspec.json.encode(record, order="deterministic"), indent=2) + b"\n"
    )


def now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC)
