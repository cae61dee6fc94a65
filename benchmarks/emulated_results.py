"""The README's tables of emulated boards, as Markdown, from committed records only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.report import words

PI = RECORDS / "pi"
NAMES = ("s0-mobilenetv2", "student-micro")
"""Trained networks; those without records have no table yet."""

COLUMNS = (
    "file", "board", "rows", "F1 here", "F1 there", "difference, points", "same class", "apart by", "instructions, M",
    "dot products", "minutes", "kernels",
)  # fmt: skip


def emulated(records: Path = PI) -> str:
    """One table a network that was run, with what it was run on."""
    parts = [part for name in NAMES if (part := _network(name, records / name))]
    return "\n\n".join(parts) or NOT_YET


def _network(name: str, folder: Path) -> str:
    """The table of one network; "" without records."""
    taken = [load_record(file) for file in sorted(folder.rglob("*.json"))]
    if not taken:
        return ""
    taken.sort(key=_place)
    return f"{_machine(name, taken)}\n\n{markdown_table(COLUMNS, map(_row, taken))}\n\n{_proofs(taken)}"


def _place(record: RunRecord) -> tuple[int, str, str, bool]:
    """Largest file first, then the boards, the present runtime before its predecessor."""
    artifact = record.artifact
    return (-artifact.bytes, artifact.format, record.target, record.executed_on.startswith("tflite-runtime"))


def _machine(name: str, taken: Sequence[RunRecord]) -> str:
    """What emulated, and what was asked."""
    how, dates = taken[0].environment["emulation"], sorted({record.started[:10] for record in taken})
    data = next((record.accuracy.data for record in taken if record.accuracy), "")
    return (
        f"`{name}`, emulated by QEMU {how['qemu']} in {how['processes']} processes on {how['host']}, other work beside "
        f'it; {dates[-1]}. Test rows of {data}; "here" is that machine with the same kernels.'
    )


def _row(record: RunRecord) -> tuple[str, ...]:
    parity, counted = record.parity, record.instructions
    assert parity is not None
    assert counted is not None
    how = record.environment["emulation"]
    part = "" if parity.rows == parity.of_rows else f" of {parity.of_rows:,}"
    return (
        record.artifact.format,
        record.target.removeprefix("raspberry-").replace("pi-", "Pi "),
        f"{parity.rows:,}{part}",
        words.f1(parity.f1_here),
        words.f1(parity.f1),
        words.points(parity.f1_points),
        f"{parity.top1_agreement:.2%}",
        words.apart(parity),
        words.millions(counted.per_inference),
        f"{counted.dot_share:.0%}",
        f"{how['seconds'] / 60:.1f}",
        f"{record.executed_on.partition(' (')[0]}, {record.kernels}",
    )


def _proofs(taken: Sequence[RunRecord]) -> str:
    """What the golden images said, per runtime."""
    lines = []
    for runtime in dict.fromkeys(record.executed_on.partition(" (")[0] for record in taken):
        proofs = [record.details["golden"] for record in taken if record.executed_on.startswith(runtime)]
        worst = max(proof["max_abs"] for proof in proofs)
        lines.append(
            f"{runtime} proved the golden images of all its {len(proofs)} runs there, at most {worst:.2g} from the "
            "float backbone."
        )
    return " ".join(lines)
