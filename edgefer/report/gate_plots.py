"""The drop of each class at a gate, drawn with its interval."""

from __future__ import annotations

from edgefer.gating.record import Gate, Interval
from edgefer.report import words
from edgefer.report.svg import DASHES, GAIN, INK, LOSS, MUTED, Plot, figure, finished

UNDECIDED = "#6b7682"


def class_plot(gate: Gate, title: str, name: str) -> Plot:
    """One line an F1: weighted, macro, then every class, each with its 95 % interval; ``name`` is the page's own."""
    lines = [("weighted F1", gate.weighted_drop), ("macro F1", gate.macro_drop)]
    lines += [(f"{each.name} ({each.rows:,})", each.drop) for each in gate.classes]
    drawing = figure(11.2, 0.9 + 0.27 * len(lines))
    axes = drawing.add_subplot()
    for place, (_, drop) in enumerate(lines):
        colour = _colour(drop)
        axes.plot([drop.low, drop.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([drop.value], [place], "o", color=colour, markersize=5.5)
    axes.axvline(0, color=INK, linewidth=0.9)
    limit = gate.limits.max_drop
    axes.axvline(
        limit, color=MUTED, linewidth=1, linestyle=DASHES, label=f"{limit:g} points allowed (weighted F1)"
    )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, fontsize=8)
    axes.set_yticks(range(len(lines)), [name for name, _ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("F1 drop, points (to the right: loss)")
    shown = words.between(gate.weighted_drop.value, gate.weighted_drop.low, gate.weighted_drop.high)
    caption = (
        f"F1 drop with 95 % intervals, {title} (rows of the class in brackets): weighted F1 {shown}. Orange is surely "
        "a loss, blue surely a gain; grey holds zero."
    )
    return finished(drawing, name, caption, wide=True)


def _colour(drop: Interval) -> str:
    if drop.low > 0:
        return LOSS
    return GAIN if drop.high < 0 else UNDECIDED
