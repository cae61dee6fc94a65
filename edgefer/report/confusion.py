"""Confusion matrices as tables: each row in percent of the true class."""

from __future__ import annotations

from collections.abc import Iterator

from edgefer.metrics import Score
from edgefer.report import words
from edgefer.report.collect import Group, synthetic_words
from edgefer.report.compare import by_baseline
from edgefer.report.tables import Body, Cell, Table


def confusion_tables(group: Group) -> tuple[Table, ...]:
    """The matrices of the group's float backbones and of each artifact that was scored."""
    return tuple(_tables(group))


def _tables(group: Group) -> Iterator[Table]:
    for name, score, _ in by_baseline(group.runs):
        yield _matrix(f"{name}{synthetic_words(group)}", score)
    for run in group.runs:
        if run.record.accuracy is not None:
            yield _matrix(f"{run.label}{synthetic_words(group)}", run.record.accuracy.full)


def _matrix(title: str, score: Score) -> Table:
    names = [each.name for each in score.per_class]
    rows = (
        (Cell(name), *(_cell(row, column, same=line == column) for column in range(len(row))))
        for line, (name, row) in enumerate(zip(names, score.confusion, strict=True))
    )
    return Table(title, ("true \\ predicted", *names), (Body(tuple(rows)),))


def _cell(row: tuple[int, ...], column: int, *, same: bool) -> Cell:
    count, total = row[column], sum(row)
    shade = round(9 * count / total) if total else 0
    style = f"shade-{shade}{' same' if same else ''}"
    return Cell(words.percent(count, total), style=style, hover=f"{count:,} of {total:,} rows")
