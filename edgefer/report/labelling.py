"""Names beside points, moved until they cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# Offsets in points and alignments, tried in this order.
PLACES = (
    (9, 0, "left", "center"),
    (-9, 0, "right", "center"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
    (8, 7, "left", "bottom"),
    (8, -7, "left", "top"),
    (-8, 7, "right", "bottom"),
    (-8, -7, "right", "top"),
    (12, 18, "left", "bottom"),
    (12, -18, "left", "top"),
    (-12, 18, "right", "bottom"),
    (-12, -18, "right", "top"),
    (12, 30, "left", "bottom"),
    (12, -30, "left", "top"),
    (-12, 30, "right", "bottom"),
    (-12, -30, "right", "top"),
)


def place_labels(drawing: Figure, axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Name each (x, y) of ``points``; a name that finds no free place takes the least crowded one."""
    from matplotlib.transforms import Bbox

    drawing.draw_without_rendering()  # lays the axes out, so that text extents are final
    frame = axes.get_window_extent()
    marks = axes.transData.transform([(x, y) for x, y, _ in points])
    taken = [Bbox.from_bounds(x - 7, y - 7, 14, 14) for x, y in marks]
    lines = list(_lines(axes))
    for number, (x, y, text) in enumerate(points):
        others = [*lines, *taken[:number], *taken[number + 1 :]]
        taken.append(_settle([_label(axes, (x, y), text, place) for place in PLACES], others, frame))


def _settle(choices: Sequence[Annotation], taken: Sequence[Bbox], frame: Bbox) -> Bbox:
    """Keep the least crowded of the choices, remove the others, and return where it stands."""
    boxes = [_extent(choice) for choice in choices]
    costs = [_crowding(box, taken, frame) for box in boxes]
    best = costs.index(min(costs))
    for choice in (*choices[:best], *choices[best + 1 :]):
        choice.remove()
    return boxes[best]


def _lines(axes: Axes) -> Iterator[Bbox]:
    """The axis-parallel strokes that are drawn, two pixels wide."""
    from matplotlib.transforms import Bbox

    for line in axes.lines:
        corners = line.get_transform().transform(line.get_xydata())
        yield from (Bbox([one, other]).padded(1) for one, other in pairwise(corners))


def _extent(label: Annotation) -> Bbox:
    """Where the text stands, in pixels, without the line that leads to its point."""
    from matplotlib.text import Text

    label.get_window_extent()  # moves the text to its place
    return Text.get_window_extent(label).padded(2)


def _label(axes: Axes, point: tuple[float, float], text: str, place: tuple[int, int, str, str]) -> Annotation:
    right, up, across, along = place
    far = abs(up) > 9
    return axes.annotate(
        text, point, xytext=(right, up), textcoords="offset points", ha=across, va=along,
        fontsize=8, zorder=4, in_layout=False,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
        arrowprops={"arrowstyle": "-", "color": "#9aa5b1", "linewidth": 0.7, "shrinkB": 4} if far else None,
    )  # fmt: skip


def _crowding(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Area, in square pixels, of ``box`` that is covered or sticks out of the frame."""
    covered = sum(_overlap(box, other) for other in taken)
    return covered + box.width * box.height - _overlap(box, frame)


def _overlap(one: Bbox, other: Bbox) -> float:
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    return float(max(0.0, width) * max(0.0, height))
