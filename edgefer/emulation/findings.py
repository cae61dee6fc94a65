"""What was found out about an artifact on an emulated board, as a RunRecord that cannot be taken for a measured one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np

from edgefer.bench.emulated import Instructions, Parity
from edgefer.bench.environment import cpu_model
from edgefer.bench.record import RunRecord
from edgefer.device.job import RESULT_FILE
from edgefer.emulation.beside import open_alike, parity
from edgefer.emulation.rows import Rows
from edgefer.emulation.work import Work
from edgefer.registry import discover
from edgefer.remote.records import records

# What the guest reads of the machine below it, and a board would not have.
NOT_ITS_OWN = ("board", "frequency_mhz", "governor", "temperature_c", "throttled", "memory_bytes", "load_before",
               "load_after", "physical_cores", "logical_cores", "usable_cores")  # fmt: skip


def record(work: Work, instructions: Instructions, qemu: str) -> RunRecord:
    """The record of finished ``work``. Where only some rows were answered there is parity, but no score.

    Raises:
        EdgeferError: the artifact answers NaN, or no runtime here has the board's kernels.
    """
    rows = work.rows
    scored = (lambda _: rows.data) if rows and rows.whole else None
    target = work.target.id
    (made,) = records(work.package, work.folder, target=target, kind="emulated", data=scored)
    (said,) = json.loads((work.folder / RESULT_FILE).read_bytes())["tasks"]
    cpu = work.board.guest.emulation.cpu
    around = {key: value for key, value in made.environment.items() if key not in NOT_ITS_OWN}
    return msgspec.structs.replace(
        made,
        executed_on=f"{made.executed_on} on QEMU {qemu} as {cpu}",
        environment=around | {"emulation": _emulation(work, qemu)},
        details=made.details | {"golden": said["golden"]},
        parity=_parity(work, rows, made.executed_on, said["probabilities"]) if rows else None,
        instructions=instructions,
    )


def _emulation(work: Work, qemu: str) -> dict[str, Any]:
    """How it was emulated, on what, and how long answering the rows took there."""
    return {
        "qemu": qemu,
        "cpu": work.board.guest.emulation.cpu,
        "processes": work.board.processes,
        "seconds": round(work.seconds, 1),
        "host": cpu_model(),
    }


def _parity(work: Work, rows: Rows, executed_on: str, answers: str) -> Parity:
    emulated = np.load(work.folder / answers, allow_pickle=False)
    session = open_alike(work.artifact, executed_on, discover("edgefer.runtimes", "RUNTIMES"))
    return parity(work.artifact, emulated, rows, session, batch=work.package.job.chunk)
