"""The table and the plot of channel pruning, from committed records only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.compression.channels import BATCHES, FOLDER
from benchmarks.results import NOT_YET, machine, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.compressing import CompressRecord
from edgefer.report import words
from edgefer.report.svg import drawing_style, figure, finished
from edgefer.spec import Cost


class _Point(NamedTuple):
    """One network's file and what the network behind it costs; without a run, the whole one."""

    record: RunRecord
    cost: Cost
    share: float
    validation: float


def channels(folder: Path = FOLDER) -> str:
    """Each network at each share: costs, scores, speed and the gain over the whole network's file."""
    found = _networks(folder)
    return "\n\n".join(_network(path) for path in found) if found else NOT_YET


def channels_plot(folder: Path = FOLDER) -> str:
    """Weighted F1 against FPS at batch 1, one line a network, as SVG."""
    with drawing_style():
        drawing = figure(7.0, 4.2)
        axes = drawing.add_subplot()
        for path, (shape, colour) in zip(
            _networks(folder), (("o-", "#0072B2"), ("s-", "#D55E00")), strict=False
        ):
            points = _points(path)
            spots = [(one.record.timings[0].fps, _f1(one.record)) for one in points]
            axes.plot(*zip(*spots, strict=True), shape, color=colour, label=path.name)
            for one, spot in zip(points, spots, strict=True):
                axes.annotate(f"{one.share:.0%}", spot, textcoords="offset points", xytext=(5, 5), fontsize=8)
        axes.set_xlabel("FPS at batch 1, tflite-int8")
        axes.set_ylabel("weighted F1, FER+ test rows")
        axes.margins(0.1, 0.15)
        axes.legend(loc="upper left")
        return finished(drawing, "channels", "Weighted F1 against FPS of networks with channels removed").svg


def _networks(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_dir()]


def _network(path: Path) -> str:
    points = _points(path)
    whole = points[0].record
    paces = [word for batch in BATCHES for word in (f"FPS (batch {batch})", "times")]
    columns = ("MACs left", "MACs, M", "parameters, k", "validation F1, float", "size, kB", "weighted F1",
               "macro F1", "drop, points", *paces)  # fmt: skip
    rows = [_row(one, whole) for one in points]
    head = f"**{path.name}**, tflite-int8. {machine(whole.environment)}; {whole.started[:10]}."
    return f"{head}\n\n{markdown_table(columns, rows)}"


def _row(one: _Point, whole: RunRecord) -> tuple[str, ...]:
    record = one.record
    assert record.accuracy is not None
    speeds = []
    for mine, theirs in zip(record.timings, whole.timings, strict=True):
        speeds += [words.fps(mine.fps) + " (unstable)" * bool(mine.unstable), f"{mine.fps / theirs.fps:.2f}"]
    return (
        f"{one.share:.0%}",
        words.millions(one.cost.macs),
        f"{one.cost.parameters / 1e3:,.0f}",
        words.f1(one.validation),
        words.kilobytes(record.artifact.bytes),
        words.f1(_f1(record)),
        words.f1(record.accuracy.full.macro_f1),
        words.points(100 * (_f1(whole) - _f1(record))),
        *speeds,
    )


def _f1(record: RunRecord) -> float:
    assert record.accuracy is not None
    return record.accuracy.full.weighted_f1


def _points(path: Path) -> list[_Point]:
    """The whole network first, then less and less of it."""
    runs = {
        file.name.partition(".")[0]: msgspec.json.decode(file.read_bytes(), type=CompressRecord)
        for file in path.glob("*.compress.json")
    }
    full = next(iter(runs.values())).original
    points = [
        _Point(load_record(path / f"{path.name}.cpu.json"), full.cost, 1.0, full.validation.weighted_f1)
    ]
    for name, run in runs.items():
        standing = run.stages[-1].standing
        share = standing.cost.macs / full.cost.macs
        record = load_record(path / f"{name}.cpu.json")
        points.append(_Point(record, standing.cost, share, standing.validation.weighted_f1))
    return sorted(points, key=lambda one: -one.share)
