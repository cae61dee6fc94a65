"""What only emulated runs have: parity with the machine that emulated, and instructions instead of latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgefer.bench.emulated import Instructions, Parity
from edgefer.report import words
from edgefer.report.collect import Group, Run
from edgefer.report.tables import Body, Cell, Table


def parity_table(group: Group) -> Table | None:
    """One row an artifact: its answers there and here on the same rows and kernels, and an inference's instructions.

    None if the group was not emulated on a processor.
    """
    runs = [run for run in group.runs if run.record.instructions]
    if not runs:
        return None
    columns = (
        "artifact", "rows", "weighted F1 here", "weighted F1 there", "difference, points", "same class", "apart by",
        "instructions, M", "dot products", "kernels",
    )  # fmt: skip
    return Table(
        caption=f"{group.title}: beside the machine that emulated",
        columns=columns,
        bodies=(Body(tuple(_row(run) for run in runs)),),
        words_in=frozenset({"kernels"}),
    )


def _row(run: Run) -> tuple[Cell, ...]:
    record = run.record
    kernels = Cell(record.kernels or words.ABSENT, hover=record.executed_on)
    return (Cell(run.label), *_parity(record.parity), *_counted(record.instructions), kernels)


def _parity(parity: Parity | None) -> tuple[Cell, ...]:
    if parity is None:
        return (Cell(words.ABSENT),) * 6
    part = "" if parity.rows == parity.of_rows else f" of {parity.of_rows:,}"
    return (
        Cell(f"{parity.rows:,}{part}"),
        Cell(words.f1(parity.f1_here)),
        Cell(words.f1(parity.f1)),
        Cell(words.points(parity.f1_points)),
        Cell(f"{parity.top1_agreement:.2%}"),
        Cell(words.apart(parity)),
    )


def _counted(instructions: Instructions | None) -> tuple[Cell, Cell]:
    if instructions is None:
        return Cell(words.ABSENT), Cell(words.ABSENT)
    return Cell(words.millions(instructions.per_inference)), Cell(f"{instructions.dot_share:.0%}")


def kernel_warnings(groups: Sequence[Group]) -> Iterator[str]:
    """One sentence an artifact whose records were taken with different kernels: their scores differ for it."""
    runs = [(group.place, run) for group in groups for run in group.runs if run.record.kernels]
    for label in dict.fromkeys(run.label for _, run in runs):
        used: dict[str, list[str]] = {}
        for place, run in runs:
            if run.label == label:
                used.setdefault(run.record.kernels, []).append(place)
        if len(used) > 1:
            each = words.listing([f"{kernels} on {words.listing(where)}" for kernels, where in used.items()])
            yield f"{label} ran with different kernels, and answers differ for it: {each}"
