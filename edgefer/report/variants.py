"""The same files with other settings of the runtime, timed in the same run: Core ML's compute units, say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgefer.bench.record import BatchTiming, ColdStart, RunRecord
from edgefer.report import words
from edgefer.report.collect import Group, Run
from edgefer.report.tables import Body, Cell, Table, timing_mark


def variant_table(group: Group) -> Table | None:
    """One row an artifact, setting and batch size; None if nothing was run in several ways."""
    bodies = tuple(Body(tuple(_rows(run)), title=run.label) for run in group.runs if run.record.variants)
    if not bodies:
        return None
    columns = ("setting", "batch", "median, ms", "FPS", "load, ms", "first, ms", "operations by device")
    return Table(
        f"Settings of the runtime on {group.title}", columns, bodies, frozenset({"operations by device"})
    )


def _rows(run: Run) -> Iterator[tuple[Cell, ...]]:
    record = run.record
    for timing in record.timings:
        yield _row(run, _usual(record), timing, record.cold_start, record.details)
    for variant in record.variants:
        for timing in variant.timings:
            yield _row(run, variant.name, timing, variant.cold_start, variant.details)


def _usual(record: RunRecord) -> str:
    """What the file's own times were taken with; Core ML calls it all compute units."""
    return "all" if "compute_plan" in record.details else "usual"


def _row(
    run: Run, name: str, timing: BatchTiming, cold: ColdStart | None, details: Mapping[str, Any]
) -> tuple[Cell, ...]:
    times = (words.milliseconds(ns) for ns in (cold.load_ns, cold.first_ns)) if cold else [words.ABSENT] * 2
    return (
        Cell(name, mark=timing_mark(run, timing), hover=run.record.invalid or timing.unstable),
        Cell(str(timing.batch)),
        Cell(words.milliseconds(timing.latency_ns())),
        Cell(words.fps(timing.fps)),
        *map(Cell, times),
        Cell(_planned(details)),
    )


def _planned(details: Mapping[str, Any]) -> str:
    """How many operations Core ML's compute plan gives to which device."""
    devices = details.get("compute_plan", {}).get("on", {})
    return ", ".join(f"{name} {each['operations']}" for name, each in devices.items()) or words.ABSENT
