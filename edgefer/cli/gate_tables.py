"""What ``edgefer gate`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from edgefer.cli import console

if TYPE_CHECKING:
    from edgefer.gating.record import Gate, Interval, Side


def show(done: Gate) -> None:
    """The verdict and its reasons, then figures, classes and flips."""
    click.echo(done.gate.upper())
    for reason in done.reasons:
        click.echo(f"- {reason}")
    console.print_table(
        _title(done), ("", "baseline", "artifact", "drop, points", "95 % interval"), _figures(done)
    )
    _show_classes(done)
    _show_flips(done)
    for side in (done.baseline, done.artifact):
        console.note(f"{side.name} {side.format} ran on {side.executed_on}")


def _title(done: Gate) -> str:
    mark = " (synthetic)" if done.rows.synthetic else ""
    left_out = f", {done.rows.left_out} leaked ones left out" if done.rows.left_out else ""
    sides = (f"{side.name} {side.format}" for side in (done.artifact, done.baseline))
    rows = f"{done.rows.rows:,} of {done.rows.of_rows:,} test rows of {done.rows.data}{mark}{left_out}"
    return f"{' against '.join(sides)}: {rows}"


def _figures(done: Gate) -> list[tuple[str, ...]]:
    """One row a metric."""

    def row(name: str, take: Callable[[Side], float], change: Interval) -> tuple[str, ...]:
        values = (f"{take(side):.4f}" for side in (done.baseline, done.artifact))
        return (name, *values, f"{change.value:+.2f}", _between(change))

    return [
        row("weighted F1", lambda side: side.score.weighted_f1, done.weighted_drop),
        row("macro F1", lambda side: side.score.macro_f1, done.macro_drop),
        row("ECE, 15 bins (rise)", lambda side: side.calibration_error, done.calibration),
        (
            "only this one is right",
            str(done.only_before),
            str(done.only_after),
            f"McNemar p {done.p:.2g}",
            "",
        ),
    ]


def _between(interval: Interval) -> str:
    return f"{interval.low:+.2f} to {interval.high:+.2f}"


def _show_classes(done: Gate) -> None:
    columns = ("class", "rows", "F1 before", "F1 after", "drop, points", "95 % interval", "floor", "standing")
    rows = [
        (
            each.name,
            each.rows,
            f"{each.before:.3f}",
            f"{each.after.value:.3f}",
            f"{each.drop.value:+.1f}",
            f"{each.drop.low:+.1f} to {each.drop.high:+.1f}",
            "" if each.floor is None else f"{each.floor:g}",
            each.standing,
        )
        for each in done.classes
    ]
    console.print_table("Classes", columns, rows)


def _show_flips(done: Gate) -> None:
    if not done.changed:
        click.echo("no row changed its class")
        return
    names = done.labels.names
    rows = [
        (name, *("" if before == after or not n else n for after, n in enumerate(line)))
        for before, (name, line) in enumerate(zip(names, done.flips, strict=True))
    ]
    title = f"{done.changed} of {done.rows.rows:,} rows changed: baseline's class down, artifact's across"
    console.print_table(title, ("", *names), rows)
