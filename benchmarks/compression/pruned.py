"""The table and the plot of channel pruning, from committed records only."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.compression.channels import BATCHES, BLOCKS, FOLDER
from benchmarks.results import NOT_YET, machine, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.compressing import CompressRecord
from edgefer.report import words
from edgefer.report.svg import drawing_style, figure, finished
from edgefer.spec import Cost

# Marks and colours of networks, one after the other. Source: Okabe and Ito, "Color Universal Design".
STYLES = (("o-", "#0072B2"), ("s-", "#D55E00"), ("^-", "#009E73"), ("D-", "#CC79A7"), ("v-", "#E69F00"))


class _Point(NamedTuple):
    """One network's file, what the network behind it costs, and what was removed from it; nothing from the whole one.

    ``whole`` is the record of the whole network in the same run.
    """

    record: RunRecord
    whole: RunRecord
    removed: str
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
        for path, (shape, colour) in zip(_networks(folder), cycle(STYLES), strict=False):
            _drawn(axes, _points(path), shape, colour, path.name)
            # Blocks and channels: a way of its own from the same whole network.
            _drawn(axes, _points(path / BLOCKS)[1:], shape[0], colour, "")
        axes.set_xlabel("FPS at batch 1, tflite-int8")
        axes.set_ylabel("weighted F1, FER+ test rows")
        axes.margins(0.1, 0.15)
        axes.legend(loc="upper left")
        return finished(drawing, "channels", "Weighted F1 against FPS of networks with channels removed").svg


def _drawn(axes: Any, points: list[_Point], shape: str, colour: str, label: str) -> None:
    spots = [(one.record.timings[0].fps, _f1(one.record)) for one in points]
    if spots:
        axes.plot(*zip(*spots, strict=True), shape, color=colour, label=label or None)
    for one, spot in zip(points, spots, strict=True):
        said = f"{one.share:.0%}" if label else f"{one.share:.0%}, {one.removed}"
        axes.annotate(said, spot, textcoords="offset points", xytext=(5, 5), fontsize=8)


def _networks(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_dir()]


def _network(path: Path) -> str:
    points = _points(path)
    whole = points[0].record
    paces = [word for batch in BATCHES for word in (f"FPS (batch {batch})", "times")]
    columns = ("MACs left", "removed", "MACs, M", "parameters, k", "validation F1, float", "size, kB", "weighted F1",
               "macro F1", "drop, points", *paces)  # fmt: skip
    rows = [_row(one) for one in (*points, *_points(path / BLOCKS))]
    head = f"**{path.name}**, tflite-int8. {machine(whole.environment)}; {whole.started[:10]}."
    return f"{head}\n\n{markdown_table(columns, rows)}"


def _row(one: _Point) -> tuple[str, ...]:
    record, whole = one.record, one.whole
    assert record.accuracy is not None
    speeds = []
    for mine, theirs in zip(record.timings, whole.timings, strict=True):
        speeds += [words.fps(mine.fps) + " (unstable)" * bool(mine.unstable), f"{mine.fps / theirs.fps:.2f}"]
    return (
        f"{one.share:.0%}",
        one.removed or words.ABSENT,
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
    """What one run measured: the whole network first, then less and less of it; nothing where there was none."""
    runs = {
        file.name.partition(".")[0]: msgspec.json.decode(file.read_bytes(), type=CompressRecord)
        for file in path.glob("*.compress.json")
    }
    if not runs:
        return []
    full = next(iter(runs.values()))
    whole = load_record(path / f"{full.name}.cpu.json")
    points = [_Point(whole, whole, "", full.original.cost, 1.0, full.original.validation.weighted_f1)]
    for name, run in runs.items():
        standing = run.stages[-1].standing
        share = standing.cost.macs / run.original.cost.macs
        record = load_record(path / f"{name}.cpu.json")
        points.append(
            _Point(record, whole, _removed(run), standing.cost, share, standing.validation.weighted_f1)
        )
    return sorted(points, key=lambda one: -one.share)


def _removed(run: CompressRecord) -> str:
    """What the stages took out."""
    told = []
    for one in run.stages:
        gone, had = one.findings.get("removed", ()), one.findings.get("blocks", (0,))[0]
        told.append(f"{len(gone)} of {had} {one.stage}" if gone else one.stage)
    return ", ".join(told)
