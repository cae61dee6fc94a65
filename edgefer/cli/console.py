"""Everything that is printed goes through here: tables, JSON, notes, progress, errors.

Results go to standard output; notes, progress and errors to standard error.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console

    from edgefer.verification import Verification

_FIGURE = re.compile(r"[-+]?\d[\d.,e+-]*( ?%| \(.*\))?$")  # 6,284 · +0.29 · 0.05 (≤ 1) · 36 %

_state = {"quiet": False, "verbose": False}


class Advance(Protocol):
    """Reports ``done`` of ``total`` units of work, with an optional remark."""

    def __call__(self, done: float, total: float, remark: str = "") -> None:
        """Redraw the bar."""


def configure(*, quiet: bool, verbose: bool) -> None:
    """Set the habits of this run."""
    _state.update(quiet=quiet, verbose=verbose)


def json_option(command: Any) -> Any:
    """Add ``--json`` to a command that prints a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(command)


def stdout() -> Console:
    """A rich console for results; at least 100 columns wide when not a terminal, so that tables are not cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=False)


def stderr() -> Console:
    """A rich console for notes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def note(message: str) -> None:
    """Say something on standard error unless ``--quiet``."""
    if not _state["quiet"]:
        click.echo(message, err=True)


def detail(message: str) -> None:
    """Say something on standard error if ``--verbose``."""
    if _state["verbose"]:
        click.echo(message, err=True)


def fail(message: str, error: BaseException | None = None) -> None:
    """Print the one error line (and the traceback if ``--verbose``)."""
    click.echo(f"edgefer: error: {message}", err=True)
    if _state["verbose"] and error is not None:
        click.echo("".join(traceback.format_exception(error)), err=True)


def print_json(value: Any) -> None:
    """Print records, dataclasses and plain values as indented JSON."""
    click.echo(json.dumps(msgspec.to_builtins(value), indent=2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; columns of figures are right-aligned, words left."""
    from rich.markup import escape
    from rich.table import Table

    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    # Escaped: what is printed may hold square brackets, which rich reads as markup.
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        figures = all(_FIGURE.match(row[number]) for row in texts if row[number])
        table.add_column(escape(column), justify="right" if number and figures else "left", overflow="fold")
    for row in texts:
        table.add_row(*(escape(cell) for cell in row))
    stdout().print(table)


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar with an ETA on a terminal; silent when quiet or when standard error is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    disabled = _state["quiet"] or not sys.stderr.isatty()
    with Progress(*columns, console=stderr(), disable=disabled, transient=True) as bar:
        task = bar.add_task(title, total=None, remark="")

        def advance(done: float, total: float, remark: str = "") -> None:
            bar.update(task, completed=done, total=total, remark=remark)

        yield advance


def print_verifications(outcomes: Sequence[Verification]) -> None:
    """One row an artifact: status, figures, limits, reason; then what they ran on."""
    rows = [
        (
            Path(o.artifact).name,
            o.status,
            *_against(o),
            "" if o.top1_agreement is None else f"{o.top1_agreement:.0%}",
            o.reason,
        )
        for o in outcomes
    ]
    columns = ("artifact", "status", "largest error", "mean error", "top-1", "reason")
    print_table("Verification: probabilities of the golden images against the backbone's", columns, rows)
    note_executed_on(outcomes)


def note_executed_on(outcomes: Iterable[Verification]) -> None:
    """One line for everything that ran artifacts, and which those were."""
    ran: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.executed_on:
            ran.setdefault(outcome.executed_on, []).append(Path(outcome.artifact).name)
    for executed_on, names in ran.items():
        note(f"ran on {executed_on}: {', '.join(names)}")


def _against(outcome: Verification) -> tuple[str, str]:
    """Largest and mean error, each with its limit."""
    limit = outcome.tolerance
    if limit is None or outcome.max_abs is None or outcome.row_mean is None:
        return "", ""
    return f"{outcome.max_abs:.1g} (≤ {limit.max_abs:g})", f"{outcome.row_mean:.1g} (≤ {limit.row_mean:g})"
