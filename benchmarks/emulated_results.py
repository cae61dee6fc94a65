"""The README's tables of emulated boards, as Markdown, from committed records only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.report import words
from edgefer.spec import Frozen

PI = RECORDS / "pi"
NAMES = ("s0-mobilenetv2", "mobilenetv2-sparse", "student-micro")
"""Trained networks; those without records have no table yet."""

COLUMNS = (
    "file", "board", "rows", "F1 here", "F1 there", "difference, points", "same class", "apart by", "instructions, M",
    "dot products", "minutes", "kernels",
)  # fmt: skip


class BundleProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle said of its file: how far its answers to the golden images are from the backbone's.

    ``status`` is passed, failed, or refused by the runtime; ``reason`` says why it did not pass.
    """

    board: str
    artifact: str
    runtime: str
    status: str = ""
    reason: str = ""
    executed_on: str = ""
    max_abs: float | None = None
    row_mean: float | None = None
    top1: float | None = None


class BundleProofs(Frozen, frozen=True):
    """All proofs of one bundle. Schema history: 1 — first version."""

    schema: int
    made: str
    proofs: tuple[BundleProof, ...]


class Took(Frozen, frozen=True):
    """Seconds of one emulated process: of the wall clock, and of this machine's processors."""

    wall: float
    processor: float


class StartUp(Frozen, frozen=True):
    """A fresh process a figure: Python alone, Python with the runtime's import, the bundle's whole proof."""

    board: str
    runtime: str
    artifact: str
    python: tuple[Took, ...]
    runtime_import: tuple[Took, ...]
    golden: tuple[Took, ...]


class StartUps(Frozen, frozen=True):
    """How bundles start. Schema history: 1 — first version."""

    schema: int
    made: str
    host: str
    qemu: str
    started: tuple[StartUp, ...]


def emulated(records: Path = PI) -> str:
    """One table a network that was run, with what it was run on."""
    parts = [part for name in NAMES if (part := _network(name, records))]
    parts += [_started(path) for path in sorted(records.glob("*.startup.json"))]
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
    rows = f"Test rows of {data}" if data else "Some of the test rows"
    return (
        f"`{name}`, emulated by QEMU {how['qemu']} in {how['processes']} processes on {how['host']}, other work beside "
        f'it; {dates[-1]}. {rows}; "here" is that machine with the same kernels.'
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
    """What each file's bundle said on the boards, a row a file and runtime; "" without a record."""
    if not path.exists():
        return ""
    proofs = msgspec.json.decode(path.read_bytes(), type=BundleProofs).proofs
    pairs = dict.fromkeys((proof.artifact, proof.runtime) for proof in proofs)
    rows = [_proof_row([p for p in proofs if (p.artifact, p.runtime) == pair]) for pair in pairs]
    columns = ("file", "runtime", "golden images", "apart from the float backbone, largest", "mean", "why")
    title = "Each file's bundle, `run_on_device.py --golden` on both boards:"
    return f"{title}\n\n{markdown_table(columns, rows, numbers=False)}"


def _proof_row(proofs: Sequence[BundleProof]) -> tuple[str, ...]:
    """One file on one runtime; both boards have to agree for one word."""
    first = proofs[0]
    status = ", ".join(dict.fromkeys(proof.status for proof in proofs))
    figures = (
        [value for proof in proofs if (value := getattr(proof, name)) is not None]
        for name in ("max_abs", "row_mean")
    )
    apart = (f"{max(values):.2g}" if values else words.ABSENT for values in figures)
    how = first.executed_on.partition("(CPU, ")[2].partition(",")[0]
    return (first.artifact.removesuffix(".tflite"), first.runtime, status, *apart, first.reason or how)


def _started(path: Path) -> str:
    """How long a bundle takes to prove itself on each board, and how much of that is its own."""
    taken = msgspec.json.decode(path.read_bytes(), type=StartUps)
    columns = (
        "board",
        "runtime",
        "Python alone",
        "with the runtime's import",
        "`--golden`",
        "the runner's own",
    )
    title = (
        f"The start of `{taken.started[0].artifact}`'s bundle **under emulation**: wall seconds, and in brackets "
        f"seconds of processor, for other work ran beside it (QEMU {taken.qemu} on {taken.host}; median of "
        f"{len(taken.started[0].golden)}; {taken.made}). A board's own seconds are not known."
    )
    return f"{title}\n\n{markdown_table(columns, map(_start_row, taken.started))}"


def _start_row(start: StartUp) -> tuple[str, ...]:
    """What ``--golden`` takes beyond the runtime's import is the runner's own."""
    steps = (start.python, start.runtime_import, start.golden)
    wall = [statistics.median(took.wall for took in step) for step in steps]
    processor = [statistics.median(took.processor for took in step) for step in steps]
    pairs = zip((*wall, wall[2] - wall[1]), (*processor, processor[2] - processor[1]), strict=True)
    board = start.board.removeprefix("raspberry-").replace("pi-", "Pi ")
    return (board, start.runtime, *(f"{one:.2f} ({other:.2f})" for one, other in pairs))
