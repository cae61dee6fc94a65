"""The numbers as CSV: one line an artifact, target, machine and batch size.

Measured, emulated and estimated numbers never share a column: the name of each carries its kind as a prefix,
and only the kinds that occur have columns. Absent numbers are empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from edgefer.bench.intervals import median_interval
from edgefer.bench.record import BatchTiming, RunRecord
from edgefer.report.collect import Gated, Group, Run, machine_of
from edgefer.report.compare import compare, incomparable

Value = str | float | int | None


def render_csv(groups: Sequence[Group]) -> str:
    """All groups as one table with a header, UTF-8, lines ending in a line feed."""
    lines = [line for group in groups for run in group.runs for line in _lines(run)]
    columns = list(dict.fromkeys(column for line in lines for column in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def render_gate_csv(gates: Sequence[Gated]) -> str:
    """Each gate's drops with their intervals: one line for weighted F1, macro F1 and each class."""
    text = io.StringIO()
    columns = (
        "artifact",
        "against",
        "gate",
        "rows",
        "what",
        "drop_points",
        "low",
        "high",
        "standing",
        "artifact_sha256",
    )
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for gated in gates:
        gate = gated.gate
        head = (gated.label, gated.against, gate.gate, gate.rows.rows)
        lines = [("weighted F1", gate.weighted_drop, ""), ("macro F1", gate.macro_drop, "")]
        lines += [(each.name, each.drop, each.standing) for each in gate.classes]
        for what, drop, standing in lines:
            numbers = (round(value, 4) for value in (drop.value, drop.low, drop.high))
            writer.writerow((*head, what, *numbers, standing, gate.artifact.sha256))
    return text.getvalue()


def _lines(run: Run) -> Iterator[dict[str, Value]]:
    for timing in run.record.timings or (None,):
        numbers = _accuracy(run) | (
            _emulated(run.record) if run.record.kind == "emulated" else _start(run.record) | _speed(timing)
        )
        taken = {f"{run.record.kind}_{name}": value for name, value in numbers.items()}
        yield _identity(run) | {"batch": timing.batch if timing else None} | taken


def _identity(run: Run) -> dict[str, Value]:
    record, accuracy, found = run.record, run.record.accuracy, compare(run)
    return {
        "artifact": run.label,
        "format": record.artifact.format,
        "target": record.target,
        "machine": machine_of(record),
        "kind": record.kind,
        "executed_on": record.executed_on,
        "kernels": record.kernels,
        "invalid": record.invalid,
        "size_kb": record.artifact.bytes / 1e3,
        "data": accuracy.data if accuracy else "",
        "synthetic": str(accuracy.synthetic).lower() if accuracy else "",
        "not_comparable": "" if found else incomparable(accuracy),
        "artifact_sha256": record.artifact.sha256,
    }


def _accuracy(run: Run) -> dict[str, Value]:
    accuracy, found = run.record.accuracy, compare(run)
    return {
        "weighted_f1": round(accuracy.full.weighted_f1, 6) if accuracy else None,
        "macro_f1": round(accuracy.full.macro_f1, 6) if accuracy else None,
        "f1_drop_points": round(found.full, 4) if found else None,
        "f1_drop_clean_points": round(found.clean, 4) if found else None,
    }


def _start(record: RunRecord) -> dict[str, Value]:
    cold = record.cold_start
    return {
        "cold_load_ms": cold.load_ns / 1e6 if cold else None,
        "cold_first_ms": cold.first_ns / 1e6 if cold else None,
        "warm_load_ms": cold.warm_load_ns / 1e6 if cold and cold.warm_load_ns is not None else None,
        "warm_first_ms": cold.warm_first_ns / 1e6 if cold and cold.warm_first_ns is not None else None,
        "peak_memory_mb": record.peak_memory_bytes / 1e6 if record.peak_memory_bytes is not None else None,
    }


def _emulated(record: RunRecord) -> dict[str, Value]:
    """Parity with the machine that emulated, and instructions; nothing that takes time."""
    parity, counted = record.parity, record.instructions
    return {
        "rows": parity.rows if parity else None,
        "weighted_f1_there": round(parity.f1, 6) if parity else None,
        "weighted_f1_here": round(parity.f1_here, 6) if parity else None,
        "same_class": round(parity.top1_agreement, 6) if parity else None,
        "max_abs": parity.max_abs if parity else None,
        "max_steps": parity.max_steps if parity else None,
        "instructions": counted.per_inference if counted else None,
        "dot_products": round(counted.dot_share * counted.per_inference) if counted else None,
    }


def _speed(timing: BatchTiming | None) -> dict[str, Value]:
    """``median_low_ms`` and ``median_high_ms`` are the median's 95 % interval, ``millijoules`` those of one image."""
    quantiles = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    low, high = median_interval(timing) if timing else (None, None)
    return {
        **{name: round(timing.latency_ns(q) / 1e6, 6) if timing else None for name, q in quantiles.items()},
        "median_low_ms": None if low is None else round(low / 1e6, 6),
        "median_high_ms": None if high is None else round(high / 1e6, 6),
        "millijoules": timing.millijoules if timing else None,
        "fps": round(timing.fps, 3) if timing else None,
        "samples": len(timing.samples_ns) if timing else None,
        "unstable": timing.unstable if timing else None,
    }
