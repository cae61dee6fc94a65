"""Where the numbers come from: rows, environment, hashes, lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from edgefer.bench.record import Accuracy
from edgefer.metrics import Score
from edgefer.report import words
from edgefer.report.collect import Gated, Group, Run
from edgefer.report.tables import Body, Cell, Table


def rows_table(groups: Sequence[Group]) -> Table | None:
    """Which rows were scored, and their hash at each image size; None without any score.

    They are the same faces for all records, as ``collect`` made sure.
    """
    scored = [run.record.accuracy for group in groups for run in group.runs if run.record.accuracy]
    if not scored:
        return None
    sizes = {accuracy.full.rows_sha256: accuracy for accuracy in reversed(scored)}
    rows = tuple(
        _rows_line(title, accuracy, score)
        for accuracy in reversed(sizes.values())
        for title, score in (("all test rows", accuracy.full), ("without leaked rows", accuracy.clean))
    )
    columns = ("rows", "data", "count", "sha256")
    return Table("Rows that were scored", columns, (Body(rows),), frozenset({"data", "sha256"}))


def _rows_line(title: str, accuracy: Accuracy, score: Score) -> tuple[Cell, ...]:
    data = Cell(accuracy.data, mark="synthetic" if accuracy.synthetic else "")
    return (Cell(title), data, Cell(f"{score.n:,}"), Cell(score.rows_sha256, style="code"))


def environment_table(group: Group) -> Table:
    """The machine: one row a key; where runs differ, each value names its artifacts."""
    described = [(run, dict(_flat(run.record.environment))) for run in group.runs]
    keys = sorted({key for _, values in described for key in values})
    rows = tuple((Cell(key), Cell(_merged(key, described))) for key in keys)
    columns = ("environment", "value")
    return Table(f"Environment of {group.title}", columns, (Body(rows),), frozenset({"value"}))


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _plain(each)


def _plain(value: Any) -> str:
    """A value as one reads it: lists with commas, nothing as a dash."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, str):
        return value or words.ABSENT
    return json.dumps(value)


def _merged(key: str, described: Sequence[tuple[Run, dict[str, str]]]) -> str:
    labels: dict[str, list[str]] = {}
    for run, values in described:
        labels.setdefault(values.get(key, words.ABSENT), []).append(run.label)
    if len(labels) == 1:
        return next(iter(labels))
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in labels.items())


def gate_table(gates: Sequence[Gated]) -> Table:
    """Each gate: its file, what stood at it, what ran both, and the rows."""
    columns = ("gate", "artifact", "artifact sha256", "against", "against sha256", "ran on", "rows sha256")
    rows = tuple(_gate_row(each) for each in gates)
    return Table("Gates", columns, (Body(rows),), frozenset(columns))


def _gate_row(gated: Gated) -> tuple[Cell, ...]:
    gate = gated.gate
    return (
        Cell(gated.path.name),
        Cell(gated.label),
        Cell(gate.artifact.sha256, style="code"),
        Cell(gated.against),
        Cell(gate.baseline.sha256, style="code"),
        Cell(f"{gate.artifact.executed_on}; {gate.baseline.executed_on}"),
        Cell(gate.rows.rows_sha256, style="code"),
    )


def hash_table(groups: Sequence[Group]) -> Table:
    """Each artifact once: its hash, that of its backbone, and the steps that made it."""
    artifacts = {run.record.artifact.sha256: run for group in groups for run in group.runs}
    rows = tuple(_hash_row(run) for run in artifacts.values())
    columns = ("artifact", "sha256", "backbone sha256", "bytes", "lineage")
    return Table("Artifacts", columns, (Body(rows),), frozenset({"sha256", "backbone sha256", "lineage"}))


def _hash_row(run: Run) -> tuple[Cell, ...]:
    artifact = run.record.artifact
    steps = " \N{RIGHTWARDS ARROW} ".join(step.name for step in artifact.lineage) or words.ABSENT
    hashes = (Cell(value, style="code") for value in (artifact.sha256, artifact.backbone_sha256))
    return (Cell(run.label), *hashes, Cell(f"{artifact.bytes:,}"), Cell(steps))


def record_table(groups: Sequence[Group]) -> Table:
    """Each record: its file, when it was started, and its remarks."""
    rows = tuple(_record_row(run, group) for group in groups for run in group.runs)
    columns = ("record", "artifact", "target", "kind", "started", "notes")
    return Table("Records", columns, (Body(rows),), frozenset(columns))


def _record_row(run: Run, group: Group) -> tuple[Cell, ...]:
    notes = "; ".join(run.record.notes) or words.ABSENT
    texts = (run.path.name, run.label, group.place, group.kind, run.record.started, notes)
    return tuple(Cell(text) for text in texts)
