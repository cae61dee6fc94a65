"""What a device is asked to do: one JSON file in a folder, beside the artifacts and rows that it names.

======================  ============================================================================================
in the job folder       what
======================  ============================================================================================
``job.json``            a ``Job``; all paths in it are relative to the folder
``pieces/*.json``       what is done so far, each written in one step; a run that was broken off goes on behind them
``pieces/*.npy``        probabilities of some rows, likewise
``result.json``         everything that is known when all is done; see ``edgefer.device.agent``
``probabilities-N.npy`` answers of task N to its rows, float32 (rows, classes)
======================  ============================================================================================
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgefer.bench.measure import Plan
from edgefer.errors import InputError
from edgefer.files import write_atomic

SCHEMA = 1
JOB_FILE = "job.json"
RESULT_FILE = "result.json"
PIECES = "pieces"


@dataclass(frozen=True)
class Task:
    """One artifact on one runtime.

    ``executed_on`` is a text that the session's own must hold. ``rows`` names a .npy file of uint8 images
    (N, H, W, pixel channels) to be answered, or is empty. ``variant`` names the runtime's setting if an artifact is
    asked about several times.
    """

    artifact: str
    runtime: str
    executed_on: str = ""
    rows: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Job:
    """Tasks that are measured together. ``batches`` empty: no latency, cold start or memory, only answers.

    ``threads`` 0: one a physical core of the device. ``chunk``: rows a call, which is also what a broken run can lose.
    """

    tasks: tuple[Task, ...]
    threads: int = 0
    batches: tuple[int, ...] = ()
    plan: Plan = field(default_factory=Plan)
    chunk: int = 64


def write_job(job: Job, folder: Path) -> None:
    """Write ``job`` into its folder; equal jobs give equal bytes."""
    write_atomic(folder / JOB_FILE, job_bytes(job))


def job_bytes(job: Job) -> bytes:
    """The job file's content."""
    return json.dumps({"schema": SCHEMA, **asdict(job)}, indent=1).encode() + b"\n"


def read_job(folder: Path) -> Job:
    """Read the job of a folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = folder / JOB_FILE
    try:
        stated: dict[str, Any] = json.loads(path.read_bytes())
        if (schema := stated.pop("schema")) != SCHEMA:
            raise InputError(f"{path}: job schema {schema}, this edgefer reads {SCHEMA}")
        tasks = tuple(Task(**task) for task in stated.pop("tasks"))
        batches = tuple(stated.pop("batches"))
        return Job(tasks=tasks, batches=batches, plan=Plan(**stated.pop("plan")), **stated)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a job ({error})") from error
