"""``edgefer report``: RunRecords to a page one can show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.options import OutPath

if TYPE_CHECKING:
    from edgefer.report.collect import Gated, Group
    from edgefer.report.gates import Pictures

PATH = click.Path(path_type=Path)


@click.command
@click.argument("runs", nargs=-1, required=True, type=PATH)
@click.option(
    "--out",
    required=True,
    type=OutPath(file_okay=False),
    help="Folder for report.md, report.csv, report.html and plots/.",
)
@click.option(
    "--data",
    metavar="PATH",
    help="Show the faces whose class changed at a gate: take them from here, into the page.",
)
@console.json_option
def command(runs: tuple[Path, ...], out: Path, data: str | None, as_json: bool) -> None:
    """Turn RUNS into Markdown, CSV, plots (SVG and PNG) and one self-contained HTML page.

    RUNS are RunRecord files and records of 'edgefer gate', or folders that hold nothing else as *.json.
    """
    from edgefer.errors import InputError
    from edgefer.report.collect import gather
    from edgefer.report.emulation import kernel_warnings
    from edgefer.report.page import render
    from edgefer.report.verdict import judge
    from edgefer.report.write import write_all

    material = gather(runs)
    groups, gates = material.groups, material.gates
    if data and not gates:
        raise InputError(
            "--data shows faces of a gate, and none is given", hint="'edgefer gate --out' writes one"
        )
    written = write_all(out, render(groups, gates, _pictures(gates, data)))
    verdicts, warnings = [judge(group) for group in groups], list(kernel_warnings(groups))
    if as_json:
        paths = [str(path) for path in written]
        judged = [{"artifact": each.label, "against": each.against, "gate": each.gate.gate} for each in gates]
        console.print_json({"files": paths, "verdicts": verdicts, "gates": judged, "warnings": warnings})
        return
    for group, verdict in zip(groups, verdicts, strict=True):
        _print_group(group, verdict.sentence)
    for gated in gates:
        click.echo(
            f"gate: {gated.label} against {gated.against}: {gated.gate.gate.upper()}; {gated.gate.reasons[0]}"
        )
    for warning in warnings:
        console.note(warning)
    for path in written:
        console.note(f"wrote {path}")


def _pictures(gates: tuple[Gated, ...], data: str | None) -> Pictures:
    """Faces only where their owner asks for them; without, the report needs nothing that reads data."""
    if data is None:
        return {}
    from edgefer.report.pictures import pictures_of

    return pictures_of(gates, data)


def _print_group(group: Group, sentence: str) -> None:
    from edgefer.report.tables import summary_table

    table = summary_table(group)
    rows: list[Sequence[Any]] = [
        [_text(cell.text, cell.mark) for cell in row] for row in table.bodies[0].rows
    ]
    console.print_table(f"{table.caption}: {sentence}", table.columns, rows)


def _text(text: str, mark: str) -> str:
    return f"{text} ({mark})" if mark else text
