"""What was found out about an artifact on an emulated board, as a RunRecord that cannot be taken for a measured one."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from edgefer.bench.emulated import Instructions
from edgefer.bench.environment import cpu_model
from edgefer.bench.record import RunRecord
from edgefer.bench.scoring import score_probabilities
from edgefer.device.answering import joined
from edgefer.device.job import RESULT_FILE
from edgefer.emulation.beside import open_alike, parity
from edgefer.emulation.rows import Rows
from edgefer.emulation.work import Work
from edgefer.registry import discover
from edgefer.remote.records import records

# What the guest reads of the machine below it, and a board would not have.
NOT_ITS_OWN = (
    "board", "frequency_mhz", "governor", "temperature_c", "throttled", "memory_bytes", "load_before", "load_after",
    "physical_cores", "logical_cores", "usable_cores",
)  # fmt: skip


def record(work: Work, instructions: Instructions, qemu: str) -> RunRecord:
    """The record of finished ``work``. Where only some rows were answered there is parity, but no score.

    Raises:
        EdgeferError: the artifact answers NaN, or no runtime here has the board's kernels.
    """
    (proven,) = records(work.proof, work.folder, target=work.target.id, kind="emulated")
    (said,) = json.loads((work.folder / RESULT_FILE).read_bytes())["tasks"]
    around = {key: value for key, value in proven.environment.items() if key not in NOT_ITS_OWN}
    made = msgspec.structs.replace(
        proven,
        executed_on=f"{proven.executed_on} on QEMU {qemu} as {work.board.guest.emulation.cpu}",
        environment=around | {"emulation": _emulation(work, qemu)},
        details=proven.details | {"golden": said["golden"]},
        instructions=instructions,
    )
    return _with_rows(made, work, work.rows) if work.rows else made


def _with_rows(made: RunRecord, work: Work, rows: Rows) -> RunRecord:
    """The record with what the answers to the rows are worth."""
    answers = joined(work.folder, 0, work.package.job)
    session = open_alike(work.artifact, made.executed_on, discover("edgefer.runtimes", "RUNTIMES"))
    batch = work.package.job.chunk
    return msgspec.structs.replace(
        made,
        accuracy=score_probabilities(answers, work.artifact, rows.data) if rows.whole else None,
        parity=parity(work.artifact, answers, rows, session, batch=batch),
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
