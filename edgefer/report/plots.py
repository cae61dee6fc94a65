"""The report's plots as inline SVG, the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from edgefer.report import words
from edgefer.report.collect import Group, Run, synthetic_words
from edgefer.report.compare import ALLOWED_DROP, Comparison, by_baseline, compare
from edgefer.report.labelling import place_labels
from edgefer.report.pareto import pareto_front
from edgefer.report.svg import DASHES, GAIN, INK, LOSS, MUTED, Plot, figure, finished
from edgefer.report.tables import HEAT_STEPS, heat
from edgefer.report.verdict import batches, timing_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart with any kind of colour vision; the shapes say the same again.
CONTAINERS = {"tflite": ("#0072B2", "o"), "onnx": ("#D55E00", "s"), "coreml": ("#009E73", "^")}
OTHER = ("#666666", "D")


@dataclass(frozen=True)
class Spot:
    """A point of a scatter plot: ``cost`` to the right, weighted F1 upwards."""

    run: Run
    cost: float
    f1: float


def scatter_plots(group: Group) -> tuple[Plot, ...]:
    """Accuracy against size, and against median latency at the group's smallest batch size, where times count."""
    scored = [(run, run.record.accuracy.full.weighted_f1) for run in group.runs if run.record.accuracy]
    size = [Spot(run, run.record.artifact.bytes / 1e3, f1) for run, f1 in scored]
    plots = [_scatter(group, "size", "kB", size)]
    for batch in batches(group.runs)[:1]:
        times = ((run, f1, timing_at(run, batch)) for run, f1 in scored if not run.record.invalid)
        spots = [Spot(run, timing.latency_ns() / 1e6, f1) for run, f1, timing in times if timing]
        plots.append(_scatter(group, f"median latency at batch {batch}", "ms", spots))
    return tuple(plot for plot in plots if plot)


def _scatter(group: Group, what: str, unit: str, spots: Sequence[Spot]) -> Plot | None:
    if not spots:
        return None
    front = pareto_front([(spot.cost, spot.f1) for spot in spots])
    drawing = figure(5.9, 4.4)
    axes = drawing.add_subplot()
    _draw_baseline(axes, group)
    _draw_front(axes, [spots[index] for index in front])
    for index, spot in enumerate(spots):
        _draw_spot(axes, spot, filled=index in front)
    _dress(axes, f"{what}, {unit}", f"weighted F1{synthetic_words(group)}", [spot.cost for spot in spots])
    place_labels(drawing, axes, [(spot.cost, spot.f1, spot.run.label) for spot in spots])
    caption = _scatter_caption(group, what, spots, front)
    return finished(drawing, f"{group.title} {what}", caption)


def _scatter_caption(group: Group, what: str, spots: Sequence[Spot], front: Sequence[int]) -> str:
    names = words.listing([spots[index].run.label for index in front])
    drawn = {spot.run.label for spot in spots}
    missing = [run for run in group.runs if run.label not in drawn]
    reasons = {
        "Invalid": [run.label for run in missing if run.record.invalid],
        "Not taken": [run.label for run in missing if not run.record.invalid],
    }
    absent = [f" {why}, so not drawn: {words.listing(runs)}." for why, runs in reasons.items() if runs]
    return (
        f"Weighted F1 against {what} ({group.title}{synthetic_words(group)}). "
        f"On the Pareto front: {names}.{''.join(absent)}"
    )


def _draw_baseline(axes: Axes, group: Group) -> None:
    baselines = by_baseline(group.runs)
    if len(baselines) != 1:
        return
    name, score, _ = baselines[0]
    level = score.weighted_f1
    axes.axhspan(level - ALLOWED_DROP / 100, level, color="#0072B2", alpha=0.08, linewidth=0)
    axes.axhline(level, color=MUTED, linewidth=1, linestyle=DASHES)
    text = f"{name} {words.f1(level)}; shaded: within {ALLOWED_DROP:g} point"
    axes.set_title(text, loc="left", fontsize=8, color=MUTED)


def _draw_front(axes: Axes, front: Sequence[Spot]) -> None:
    steps = [(after.cost, before.f1) for before, after in pairwise(front)]
    corners = [
        corner
        for spot, step in zip_longest(front, steps)
        for corner in ((spot.cost, spot.f1), step)
        if corner
    ]
    axes.plot(*zip(*corners, strict=True), color=INK, linewidth=1.2, alpha=0.6, zorder=2)


def _draw_spot(axes: Axes, spot: Spot, *, filled: bool) -> None:
    colour, shape = CONTAINERS.get(spot.run.record.artifact.format.partition("-")[0], OTHER)
    face = colour if filled else "white"
    axes.plot(
        [spot.cost], [spot.f1], shape, color=colour, markerfacecolor=face, markersize=8, mew=1.6, zorder=5
    )


def _dress(axes: Axes, across: str, upwards: str, costs: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xlabel(across)
    axes.set_ylabel(upwards)
    axes.margins(0.14, 0.16)
    if max(costs) > 4 * min(costs) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drop_plots(group: Group) -> tuple[Plot, ...]:
    """F1 drop per artifact and, in small multiples, per class; empty if nothing is comparable."""
    found = [(run, comparison) for run in group.runs if (comparison := compare(run))]
    moved = [(run, comparison) for run, comparison in found if any(map(heat, comparison.class_drops))]
    per_format = (_format_drops(group, found),) if found else ()
    return (*per_format, _class_drops(group, moved)) if moved else per_format


def _format_drops(group: Group, found: Sequence[tuple[Run, Comparison]]) -> Plot:
    drawing = figure(11.2, 1.2 + 0.42 * len(found))
    axes = drawing.add_subplot()
    places = np.arange(len(found))
    full, clean = ([getattr(each, part) for _, each in found] for part in ("full", "clean"))
    axes.barh(places - 0.2, full, 0.36, color="#0072B2", label="all rows")
    axes.barh(places + 0.2, clean, 0.36, color="#E69F00", label="without leaked rows")
    axes.axvline(ALLOWED_DROP, color=MUTED, linewidth=1, linestyle=DASHES, label=f"{ALLOWED_DROP:g} point")
    axes.set_xlabel(f"drop of weighted F1{synthetic_words(group)}, points (to the right: loss)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, fontsize=8)
    _name_bars(axes, [run.label for run, _ in found])
    caption = f"F1 drop per format ({group.title}{synthetic_words(group)}), with and without leaked rows."
    return finished(drawing, f"{group.title} drops", caption, wide=True)


def _name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Names to the left of horizontal bars, the first on top."""
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def _class_drops(group: Group, found: Sequence[tuple[Run, Comparison]]) -> Plot:
    across = min(4, max(2, len(found)))
    down = -(-len(found) // across)
    names = [each.name for each in found[0][1].mine.per_class]
    drawing = figure(11.2, 0.7 + down * (0.6 + 0.19 * len(names)))
    panels = drawing.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat
    for (run, comparison), panel in zip(found, panels, strict=False):
        _class_panel(panel, run.label, names, comparison.class_drops)
    for panel in panels:  # the iterator stands behind the last one drawn: the rest stay empty
        panel.set_visible(False)
    caption = (
        f"F1 drop per class ({group.title}{synthetic_words(group)}), in points: orange is loss, blue gain. "
        f"Artifacts of which no class moved by {HEAT_STEPS[0]:g} points are not drawn."
    )
    return finished(drawing, f"{group.title} classes", caption, wide=True)


def _class_panel(axes: Axes, title: str, names: Sequence[str], values: Sequence[float]) -> None:
    colours = [LOSS if value > 0 else GAIN for value in values]
    axes.barh(range(len(names)), values, 0.7, color=colours)
    _name_bars(axes, names)
    axes.tick_params(labelbottom=True, labelsize=7.5)
    axes.set_title(title, loc="left", fontsize=9)
