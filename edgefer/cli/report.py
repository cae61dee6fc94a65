"""``edgefer report``: RunRecords to a page one can show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console

if TYPE_CHECKING:
    from edgefer.report.collect import Group

PATH = click.Path(path_type=Path)


@click.command
@click.argument("runs", nargs=-1, required=True, type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder for report.md, report.csv and report.html.")
@console.json_option
def command(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Turn RUNS into Markdown, CSV and one self-contained HTML page.

    RUNS are RunRecord files, or folders that hold nothing else as *.json.
    """
    from edgefer.report.collect import collect
    from edgefer.report.emulation import kernel_warnings
    from edgefer.report.page import render
    from edgefer.report.verdict import judge
    from edgefer.report.write import write_all

    groups = collect(runs)
    written = write_all(out, render(groups))
    verdicts, warnings = [judge(group) for group in groups], list(kernel_warnings(groups))
    if as_json:
        paths = [str(path) for path in written]
        console.print_json({"files": paths, "verdicts": verdicts, "warnings": warnings})
        return
    for group, verdict in zip(groups, verdicts, strict=True):
        _print_group(group, verdict.sentence)
    for warning in warnings:
        console.note(warning)
    for path in written:
        console.note(f"wrote {path}")


def _print_group(group: Group, sentence: str) -> None:
    from edgefer.report.tables import summary_table

    table = summary_table(group)
    rows: list[Sequence[Any]] = [
        [_text(cell.text, cell.mark) for cell in row] for row in table.bodies[0].rows
    ]
    console.print_table(f"{table.caption}: {sentence}", table.columns, rows)


def _text(text: str, mark: str) -> str:
    return f"{text} ({mark})" if mark else text
