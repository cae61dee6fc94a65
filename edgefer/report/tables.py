"""The report's tables, independent of how they are rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefer.bench.record import Accuracy, BatchTiming
from edgefer.metrics import Score
from edgefer.report import words
from edgefer.report.collect import Group, Run
from edgefer.report.compare import Comparison, by_baseline, compare, incomparable
from edgefer.report.verdict import batches, timing_at

HEAT_STEPS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Lower bounds, in points, of the shades that a class's F1 drop is painted with."""


@dataclass(frozen=True)
class Cell:
    """``text``, a ``mark`` that must not be missed, a style class, a bar of length 0..1, a hover text."""

    text: str
    mark: str = ""
    style: str = ""
    bar: float | None = None
    hover: str = ""


@dataclass(frozen=True)
class Body:
    """Rows under an optional title. The first cell of a row is its header."""

    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class ColumnGroup:
    """A heading above ``span`` columns; ``kind`` is one of measured, emulated, estimated and missing, or empty."""

    title: str
    kind: str
    span: int


@dataclass(frozen=True)
class Table:
    """A captioned table; ``words_in`` are the columns that hold text and not numbers.

    ``groups`` are headings above the columns, from the first on; none where the columns speak for themselves.
    """

    caption: str
    columns: tuple[str, ...]
    bodies: tuple[Body, ...]
    words_in: frozenset[str] = frozenset()
    groups: tuple[ColumnGroup, ...] = ()

    @property
    def full_columns(self) -> tuple[str, ...]:
        """The columns, each after the title and kind of its group, for where there is one line of headings only."""
        above = [group for group in self.groups for _ in range(group.span)]
        if not above:
            return self.columns
        named = (
            f"{group.title} {group.kind}: {column}".strip(": ")
            for group, column in zip(above, self.columns, strict=True)
        )
        return tuple(named)


def artifact_table(group: Group) -> Table:
    """One row an artifact: size, F1, F1 drop, cold start, memory, where it ran."""
    columns = (
        "artifact", "size, kB", "weighted F1", "macro F1", "F1 drop, points", "F1 drop without leaked rows",
        "cold start, ms (load + first)", "peak memory, MB", "executed on",
    )  # fmt: skip
    return Table(
        caption=f"Artifacts on {group.title}",
        columns=columns,
        bodies=(Body(tuple(_artifact_row(run) for run in group.runs)),),
        words_in=frozenset({"executed on"}),
    )


def _artifact_row(run: Run) -> tuple[Cell, ...]:
    record, cold = run.record, run.record.cold_start
    start = words.ABSENT
    if cold is not None:
        load, first = words.milliseconds(cold.load_ns), words.milliseconds(cold.first_ns)
        start = f"{words.milliseconds(cold.load_ns + cold.first_ns)} ({load} + {first})"
    return (
        Cell(run.label),
        Cell(words.kilobytes(record.artifact.bytes)),
        *_f1_cells(record.accuracy),
        *_drop_cells(run),
        Cell(start),
        Cell(words.megabytes(record.peak_memory_bytes)),
        Cell(record.executed_on),
    )


def _f1_cells(accuracy: Accuracy | None) -> tuple[Cell, Cell]:
    if accuracy is None:
        return Cell(words.ABSENT), Cell(words.ABSENT)
    mark = "synthetic" if accuracy.synthetic else ""
    return Cell(words.f1(accuracy.full.weighted_f1), mark), Cell(words.f1(accuracy.full.macro_f1), mark)


def _drop_cells(run: Run) -> tuple[Cell, Cell]:
    found = compare(run)
    if found is None:
        reason = Cell(f"not comparable: {incomparable(run.record.accuracy)}", style="reason")
        return reason, reason
    mark, style = ("", "good") if found.keeps else ("fails", "bad")
    return Cell(words.points(found.full), mark, style), Cell(words.points(found.clean), mark, style)


def summary_table(group: Group) -> Table:
    """One row an artifact: size, F1, F1 drop, speed at the smallest batch size; fits a terminal."""
    sizes = batches(group.runs)
    speed = (f"median, ms (batch {sizes[0]})", "FPS") if sizes else ()
    columns = (
        "artifact",
        "size, kB",
        "weighted F1",
        "macro F1",
        "F1 drop, points",
        "without leaked rows",
        *speed,
    )
    rows = tuple((*_artifact_row(run)[:6], *_summary_speed(run, sizes)) for run in group.runs)
    return Table(f"Artifacts on {group.title}", columns, (Body(rows),))


def _summary_speed(run: Run, sizes: Sequence[int]) -> tuple[Cell, ...]:
    if not sizes:
        return ()
    timing = timing_at(run, sizes[0])
    if timing is None:
        return Cell(words.ABSENT), Cell(words.ABSENT)
    return Cell(words.milliseconds(timing.latency_ns())), Cell(
        words.fps(timing.fps), timing_mark(run, timing)
    )


def timing_mark(run: Run, timing: BatchTiming) -> str:
    """What must not be missed about a time: that it does not count, or that it did not keep still."""
    if run.record.invalid:
        return "invalid"
    return "unstable" if timing.unstable else ""


def speed_table(group: Group) -> Table:
    """One body a batch size, one row an artifact: latency quantiles and FPS."""
    bodies = tuple(Body(_speed_rows(group, batch), title=f"Batch {batch}") for batch in batches(group.runs))
    columns = ("artifact", "median, ms", "p90, ms", "p99, ms", "FPS", "samples")
    return Table(f"Speed on {group.title}", columns, bodies)


def _speed_rows(group: Group, batch: int) -> tuple[tuple[Cell, ...], ...]:
    times = [(run, timing) for run in group.runs if (timing := timing_at(run, batch))]
    best = max(timing.fps for _, timing in times)
    return tuple(
        (
            Cell(run.label, mark=timing_mark(run, timing), hover=run.record.invalid or timing.unstable),
            *(Cell(words.milliseconds(timing.latency_ns(q))) for q in (0.5, 0.9, 0.99)),
            Cell(words.fps(timing.fps), bar=timing.fps / best),
            Cell(f"{len(timing.samples_ns):,}"),
        )
        for run, timing in times
    )


def class_drop_table(group: Group) -> Table | None:
    """F1 drop in points, one row an artifact and one column a class, under the float backbone's own F1.

    None if no artifact of the group is comparable with its baseline.
    """
    found = by_baseline(group.runs)
    if not found:
        return None
    classes = (f"{each.name} ({each.support:,})" for each in found[0][1].per_class)
    bodies = tuple(
        Body((_reference_row(name, score), *map(_class_row, pairs))) for name, score, pairs in found
    )
    caption = f"F1 drop per class on {group.title}, in points (rows of the class in brackets)"
    return Table(caption, ("artifact", "all, weighted", *classes), bodies)


def _reference_row(name: str, score: Score) -> tuple[Cell, ...]:
    values = (score.weighted_f1, *(each.f1 for each in score.per_class))
    return (Cell(f"F1 of {name}"), *(Cell(words.f1(value), style="reference") for value in values))


def _class_row(pair: tuple[Run, Comparison]) -> tuple[Cell, ...]:
    run, found = pair
    mark = "synthetic" if run.record.accuracy and run.record.accuracy.synthetic else ""
    values = (found.full, *found.class_drops)
    return (Cell(run.label, mark), *(Cell(words.points(value), style=heat(value)) for value in values))


def heat(value: float) -> str:
    """Style class of a drop: ``loss-1`` … ``loss-5``, ``gain-1`` … ``gain-5``, or none below half a point."""
    level = sum(abs(value) >= step for step in HEAT_STEPS)
    return f"{'loss' if value > 0 else 'gain'}-{level}" if level else ""
