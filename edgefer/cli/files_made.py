"""What became of the files of a conversion: shared by the commands that convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgefer.cli import console

if TYPE_CHECKING:
    from edgefer.mixing import Mixed
    from edgefer.pipeline import FileRecord


def print_files(files: Sequence[FileRecord]) -> None:
    """One row a format; then how float layers were chosen, what failed, and what the files ran on."""
    columns = ("format", "file", "kB", "max error", "verified", "seconds")
    console.print_table("Artifacts", columns, [_row(file) for file in files])
    for file in files:
        if file.keep_float:
            console.note(f"{file.format}: {_chosen(file.keep_float)}")
        if file.note:
            console.note(f"{file.format}: {file.note}")
        if file.error:
            console.fail(f"{file.format}: {file.error}")
        elif file.verification and file.verification.status != "passed":
            console.note(f"{file.format}: {file.verification.status}: {file.verification.reason}")
    console.note_executed_on([file.verification for file in files if file.verification])


def _row(file: FileRecord) -> tuple[str, ...]:
    proof = file.verification
    return (
        file.format,
        file.path or "not written",
        f"{file.bytes / 1000:,.0f}" if file.path else "",
        "" if proof is None or proof.max_abs is None else f"{proof.max_abs:.2g}",
        "error" if file.error else proof.status if proof else "",
        f"{file.seconds:.1f}",
    )


def _chosen(mixed: Mixed) -> str:
    """Which layers stay in float, and what the files with fewer of them scored."""
    *before, last = mixed.tried
    scored = f"weighted F1 {last.weighted_f1:.4f} on {mixed.rows:,} validation rows"
    limit = f"within {mixed.max_drop:g} points of the float model's {mixed.float_weighted_f1:.4f}"
    if not before:
        return f"no layer is kept in float: int8 alone has {scored}, {limit}"
    tried = ", ".join(f"{one.count}: {one.weighted_f1:.4f}" for one in before)
    return f"kept in float: {', '.join(mixed.layers)}; {scored}, {limit} (with fewer, {tried})"
