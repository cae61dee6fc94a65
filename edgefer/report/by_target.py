"""The view across targets: one row an artifact, one column group a target, machine and kind of number.

A target without any record has a group of its own that says so; one that cannot run a file leaves its cells empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgefer.bench.target import Target, targets
from edgefer.report import words
from edgefer.report.collect import Group, Run
from edgefer.report.compare import compare
from edgefer.report.tables import Body, Cell, ColumnGroup, Table, timing_mark
from edgefer.report.verdict import batches, timing_at

MISSING = "missing"


@dataclass(frozen=True)
class _Column:
    """A column of one group: its title, and a run's cell in it."""

    title: str
    cell: Callable[[Run], Cell]


@dataclass(frozen=True)
class _Part:
    """The columns of one group; without one nothing ran on the target."""

    target: str
    group: Group | None

    @property
    def heading(self) -> ColumnGroup:
        """What stands above the columns."""
        title, kind = (self.group.place, self.group.kind) if self.group else (self.target, MISSING)
        return ColumnGroup(title, kind, len(self.columns))

    @property
    def columns(self) -> tuple[_Column, ...]:
        """What this group's runs know: scores, then times if any was taken, then instructions if any were counted."""
        if self.group is None:
            return (_Column("", lambda _: Cell("")),)
        return (
            _Column("F1 drop", _drop),
            *_time_columns(self.group),
            *_instruction_columns(self.group),
        )

    def cells(self, sha256: str, format_id: str, known: dict[str, Target]) -> Iterator[Cell]:
        """The cells of one artifact; where it did not run, the first says whether it could have."""
        runs = self.group.runs if self.group else ()
        run = next((run for run in runs if run.record.artifact.sha256 == sha256), None)
        if run is not None:
            yield from (column.cell(run) for column in self.columns)
            return
        target = known.get(self.target)
        runs_there = target is None or target.takes(format_id)
        gap = (
            Cell(MISSING, style=MISSING)
            if runs_there
            else Cell("", style="never", hover="does not run there")
        )
        yield gap
        yield from (Cell("", style=gap.style) for _ in self.columns[1:])


def target_table(groups: Sequence[Group]) -> Table:
    """All artifacts on all targets, those with records first."""
    known = targets()
    empty = [name for name in known if name not in {group.target for group in groups}]
    parts = [*(_Part(group.target, group) for group in groups), *(_Part(name, None) for name in empty)]
    rows = []
    for run in {run.record.artifact.sha256: run for group in groups for run in group.runs}.values():
        artifact = run.record.artifact
        cells = (cell for part in parts for cell in part.cells(artifact.sha256, artifact.format, known))
        rows.append((Cell(run.label), Cell(words.kilobytes(artifact.bytes)), *cells))
    return Table(
        caption="Artifacts by target",
        columns=("artifact", "size, kB", *(column.title for part in parts for column in part.columns)),
        bodies=(Body(tuple(rows)),),
        groups=(ColumnGroup("", "", 2), *(part.heading for part in parts)),
    )


def _drop(run: Run) -> Cell:
    """The F1 drop, else the score itself, else a dash."""
    accuracy, found = run.record.accuracy, compare(run)
    if found is not None:
        mark, style = ("", "good") if found.keeps else ("fails", "bad")
        return Cell(words.points(found.full), mark, style)
    if accuracy is not None:
        return Cell(f"F1 {words.f1(accuracy.full.weighted_f1)}")
    return Cell(words.ABSENT)


def _time_columns(group: Group) -> tuple[_Column, ...]:
    """Median and FPS at the smallest batch size."""
    sizes = batches(group.runs)
    if not sizes:
        return ()

    def median(run: Run) -> Cell:
        timing = timing_at(run, sizes[0])
        if timing is None:
            return Cell(words.ABSENT)
        return Cell(words.milliseconds(timing.latency_ns()), timing_mark(run, timing))

    def fps(run: Run) -> Cell:
        timing = timing_at(run, sizes[0])
        return Cell(words.fps(timing.fps) if timing else words.ABSENT)

    return _Column(f"ms, batch {sizes[0]}", median), _Column("FPS", fps)


def _instruction_columns(group: Group) -> tuple[_Column, ...]:
    """How far the answers are from this machine's, and instructions."""
    if not any(run.record.instructions for run in group.runs):
        return ()

    def apart(run: Run) -> Cell:
        return Cell(words.apart(run.record.parity))

    def instructions(run: Run) -> Cell:
        counted = run.record.instructions
        return Cell(words.millions(counted.per_inference) if counted else words.ABSENT)

    return _Column("apart", apart), _Column("instr., M", instructions)
