"""The table of gates, as Markdown, from committed records only."""

from __future__ import annotations

from pathlib import Path

from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, markdown_table
from edgefer.gating.record import Gate, Interval, load_gate
from edgefer.report import words

FOLDER = RECORDS / "gate"
CASES = {
    "mobilenetv2-int8": "MobileNetV2, edgefer's int8",
    "mobilenetv2-int8.150-rows": "the same, on 150 drawn rows",
    "efficientnetv2b0-int8": "EfficientNetV2B0, edgefer's int8, min-max ranges",
    "efficientnetv2b0-int8.best": "the same, `--calibration-method best`",
    "efficientnetv2b0-per-tensor": "EfficientNetV2B0, per tensor, stock converter",
    "efficientnetv2b0-per-tensor.wrong-range": "per tensor, calibrated with images in 0..1 instead of -1..1",
}
"""Committed records by name, in order, and what stood at the gate."""


def gates(folder: Path = FOLDER) -> str:
    """One row a gate."""
    found = [(title, folder / f"{name}.json") for name, title in CASES.items()]
    rows = [_row(title, load_gate(path)) for title, path in found if path.exists()]
    if not rows:
        return NOT_YET
    columns = (
        "artifact, against its float backbone", "rows", "weighted F1 drop, points", "macro F1 drop, points",
        "calibration error, points", "rows changed", "lost classes", "verdict", "rows that would tell",
    )  # fmt: skip
    return markdown_table(columns, rows)


def _row(title: str, gate: Gate) -> tuple[str, ...]:
    lost = [each.name for each in gate.classes if each.standing == "lost"]
    return (
        title,
        f"{gate.rows.rows:,}",
        *map(_interval, (gate.weighted_drop, gate.macro_drop, gate.calibration)),
        f"{gate.changed:,}",
        ", ".join(lost) or "none",
        gate.gate,
        f"{gate.rows_needed:,}" if gate.rows_needed else words.ABSENT,
    )


def _interval(interval: Interval) -> str:
    return words.between(interval.value, interval.low, interval.high)
