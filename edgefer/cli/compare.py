"""``edgefer compare``: is B faster than A?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console

if TYPE_CHECKING:
    from edgefer.bench.comparing import Compared
    from edgefer.bench.sides import Side


@click.command(name="compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--across", is_flag=True, help="Compare although processor, runtime, threads or the like differ."
)
@click.option("--invalid", is_flag=True, help="Compare although a record is marked invalid.")
@console.json_option
def command(a: str, b: str, across: bool, invalid: bool, as_json: bool) -> None:
    """Say whether B is faster or slower than A, or neither, with the ratio of their times.

    A and B are RunRecord files of 'edgefer bench', or, for several runs of one artifact, a folder or a pattern in
    quotes. Bench both in one call: records of one run are compared round by round, and on a quiet machine 2 % can be
    told. Between runs at different times the machine itself changes, and about 10 % can be told.
    """
    from edgefer.bench.comparing import common_batches, compare_batch
    from edgefer.bench.sides import read_side, refuse, unstable

    first, second = read_side(a), read_side(b)
    differing, reasons = refuse(first, second, across=across, invalid=invalid)
    found = [
        compare_batch(first.records, second.records, batch)
        for batch in common_batches(first.records, second.records)
    ]
    doubtful = unstable(first, second, {each.batch for each in found})
    if as_json:
        sides = {"a": _facts(first), "b": _facts(second)}
        remarks = {"differences": differing, "invalid": reasons, "unstable": doubtful}
        console.print_json({**sides, "compared": found, **remarks})
    else:
        _show(first, second, found)
    for difference in differing:
        console.note(f"compared across: {difference}")
    for reason in reasons:
        console.note(f"INVALID: {reason}")
    for one in doubtful:
        console.note(f"unstable: {one}")
    for size in _left_out(first, second, found):
        console.note(f"batch {size} left out: not every record has it")


def _facts(side: Side) -> dict[str, Any]:
    artifact = side.records[0].artifact
    files = [str(file) for file in side.files]
    return {"artifact": artifact.name, "format": artifact.format, "sha256": artifact.sha256, "records": files}


def _show(a: Side, b: Side, found: list[Compared]) -> None:
    columns = (
        "batch",
        "B is",
        "B / A",
        f"{found[0].level:.0%} interval",
        "A, median ms",
        "B, median ms",
        "from",
    )
    rows = [
        (c.batch, c.verdict, f"{c.ratio:.4f}", _interval(c), f"{c.a_ms:.4f}", f"{c.b_ms:.4f}", c.basis)
        for c in found
    ]
    console.print_table(f"Time of B = {b.label} by that of A = {a.label}", columns, rows)


def _interval(compared: Compared) -> str:
    if compared.low is None or compared.high is None:
        return "none"
    return f"{compared.low:.4f} to {compared.high:.4f}"


def _left_out(a: Side, b: Side, found: list[Compared]) -> list[int]:
    sizes = {timing.batch for side in (a, b) for record in side.records for timing in record.timings}
    return sorted(sizes - {each.batch for each in found})
