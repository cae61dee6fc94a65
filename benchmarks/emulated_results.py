"""The README's tables of emulated boards, as Markdown, from committed records only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.report import words
from edgefer.spec import Frozen

PI = RECORDS / "pi"
NAMES = ("s0-mobilenetv2", "student-micro")
"""Trained networks; those without records have no table yet."""

COLUMNS = (
    "file", "board", "rows", "F1 here", "F1 there", "difference, points", "same class", "apart by", "instructions, M",
    "dot products", "minutes", "kernels",
)  # fmt: skip


class BundleProof(Frozen, frozen=True):
    """What a bundle said of one of its files: how far its answers to the golden images are from the backbone's."""

    board: str
    artifact: str
    executed_on: str
    status: str
    max_abs: float
    row_mean: float
    top1: float


class BundleProofs(Frozen, frozen=True):
    """All proofs of one bundle. Schema history: 1 — first version."""

    schema: int
    made: str
    proofs: tuple[BundleProof, ...]


def emulated(records: Path = PI) -> str:
    """One table a network that was run, with what it was run on."""
    parts = [part for name in NAMES if (part := _network(name, records))]
    return "\n\n".join(parts) or NOT_YET


def _network(name: str, records: Path) -> str:
    """What is known of one network; "" without records."""
    taken = [load_record(file) for file in sorted((records / name).rglob("*.json"))]
    if not taken:
        return ""
    taken.sort(key=_place)
    table = markdown_table(COLUMNS, map(_row, taken))
    return "\n\n".join(
        filter(None, [_machine(name, taken), table, _bundles(records / f"{name}.bundle.json")])
    )


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


def _bundles(path: Path) -> str:
    """What a bundle's own program said of its files, a runtime a sentence; "" without a record."""
    if not path.exists():
        return ""
    proofs = msgspec.json.decode(path.read_bytes(), type=BundleProofs).proofs
    by_runtime: dict[str, list[BundleProof]] = {}
    for proof in proofs:
        by_runtime.setdefault(proof.executed_on.partition(" (")[0], []).append(proof)
    return (
        "The files' golden images, replayed by the bundle's own `run_on_device.py --golden`: "
        + "; ".join(f"{runtime}: {_counted(each)}" for runtime, each in by_runtime.items())
        + "."
    )


def _counted(proofs: Sequence[BundleProof]) -> str:
    """``8 of 8 passed (int8: at most 0.021 from the float backbone, 0.0045 on average)``."""
    passed = sum(proof.status == "passed" for proof in proofs)
    int8 = [proof for proof in proofs if proof.artifact.endswith("-int8.tflite")]
    worst, mean = max(proof.max_abs for proof in int8), max(proof.row_mean for proof in int8)
    far = f"int8: at most {worst:.2g} from the float backbone, {mean:.2g} on average"
    return f"{passed} of {len(proofs)} passed on both boards ({far})"
