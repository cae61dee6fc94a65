"""The part of ``edgefer bench`` that ``--emulate`` stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.options import with_options
from edgefer.emulation.sites import SITES
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.bench.record import RunRecord
    from edgefer.bench.target import Target
    from edgefer.datasets.base import Dataset

ABSENT = "\N{EN DASH}"


def emulation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--emulate`` and what belongs to it: ``rows``, ``runtime``, ``processes``."""
    options = (
        click.option(
            "--emulate",
            is_flag=True,
            help="Emulate the target's processor: accuracy and instructions, no latency.",
        ),
        click.option(
            "--rows", type=click.IntRange(min=1), help="With --emulate: test rows to answer.  [default: all]"
        ),
        click.option(
            "--runtime",
            type=click.Choice(tuple(SITES)),
            help="With --emulate: the package that runs the files there.  [default: the present one]",
        ),
        click.option(
            "--processes",
            type=click.IntRange(min=1),
            help="With --emulate: how many answer rows.  [default: one a core]",
        ),
    )
    return with_options(command, *options)


def emulated(
    artifacts: Sequence[Artifact],
    target: Target,
    data: Callable[[Artifact], Dataset] | None,
    *,
    rows: int | None,
    runtime: str | None,
    processes: int | None,
) -> list[RunRecord]:
    """Run ``artifacts`` on the emulated ``target``, with progress."""
    from edgefer.emulation.bench import Asked, emulate

    asked = Asked(target, data, rows=rows or 0, runtime=runtime or "", processes=processes or 0)
    with console.progress("emulation") as advance:
        return emulate(artifacts, asked, advance)


def refuse_options(options: dict[str, Any], reason: str) -> None:
    """Raise ``InputError`` if one of ``options``, flag to value, is given: ``reason`` says why it has no meaning."""
    for flag, value in options.items():
        if value:
            raise InputError(f"{reason}, so {flag} has no meaning", hint=f"drop {flag}")


def print_parity(summaries: Sequence[dict[str, Any]]) -> None:
    """One row an artifact: how far the emulated board is from this machine, and what an inference costs it."""
    if not summaries:
        return
    columns = (
        "artifact",
        "format",
        "rows",
        "F1 here",
        "F1 there",
        "top-1",
        "apart",
        "instr.",
        "dot",
        "kernels",
    )
    title = f"Emulated {summaries[0]['target']} beside this machine, on the same rows and kernels"
    console.print_table(title, columns, [_row(summary) for summary in summaries])


def _row(summary: dict[str, Any]) -> tuple[str, ...]:
    instructions = summary["instructions"]
    counted = (f"{instructions.per_inference / 1e6:,.2f} M", f"{instructions.dot_share:.0%}")
    return (
        summary["artifact"],
        summary["format"],
        *_parity_cells(summary),
        *counted,
        summary["kernels"] or ABSENT,
    )


def _parity_cells(summary: dict[str, Any]) -> tuple[str, ...]:
    found = summary["parity"]
    if found is None:
        return (ABSENT,) * 5
    steps = "" if found.max_steps is None else f"{found.max_steps} step{'s' * (found.max_steps != 1)}"
    return (
        f"{found.rows}/{found.of_rows}",
        f"{found.f1_here:.4f}",
        f"{found.f1:.4f}",
        f"{found.top1_agreement:.1%}",
        steps or f"{found.max_abs:.1e}",
    )
