"""Draws one face from numbers: an expression, a person's look, a pose.

Coordinates are the face's own: x in -1..1 across, y in -1..1 from the crown down to the chin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Points = npt.NDArray[np.float64]

# Brow tilt (inner ends up > 0), brow lift, eye opening, mouth curve (smile > 0), mouth gap, mouth width, skew
# to one side, nose wrinkles, teeth.
EXPRESSIONS: dict[str, tuple[float, ...]] = {
    "neutral": (0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    "happiness": (0.0, 0.1, 0.7, 1.1, 0.35, 1.35, 0.0, 0.0, 1.0),
    "surprise": (0.1, 1.1, 1.65, 0.0, 1.1, 0.65, 0.0, 0.0, 0.0),
    "sadness": (1.1, 0.1, 0.65, -1.0, 0.0, 0.85, 0.0, 0.0, 0.0),
    "anger": (-1.3, -0.5, 0.8, -0.5, 0.15, 1.0, 0.0, 0.2, 0.6),
    "disgust": (-0.6, -0.4, 0.45, -0.6, 0.25, 0.9, 0.35, 1.0, 0.3),
    "fear": (1.0, 0.8, 1.6, -0.5, 0.45, 1.35, 0.0, 0.0, 0.7),
    "contempt": (-0.3, 0.1, 0.7, 0.1, 0.0, 1.1, 1.6, 0.0, 0.0),
}


class Look(NamedTuple):
    """A person: gray levels 0..255, proportions around 1, shares 0..1 that switch things on when high."""

    skin: float
    hair: float
    backdrop: float
    fringe: float
    length: float
    brow: float
    spread: float
    mouth: float
    glasses: float
    cover: float
    beard: float


class Pose(NamedTuple):
    """Where the face is: centre and half axes in shares of the image, roll in radians, turn in face units."""

    x: float
    y: float
    half_width: float
    half_height: float
    roll: float
    turn: float


class Shape(NamedTuple):
    """A filled polygon, or with ``width`` (face units) a line."""

    points: Points
    shade: float
    width: float = 0.0


_ANGLES = np.linspace(0, 2 * np.pi, 22, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_ACROSS = np.linspace(-1, 1, 11)
_BULGE = np.sqrt(1 - _ACROSS**2)


def draw(expression: list[float], look: Look, pose: Pose, side: int) -> Image:
    """A gray image of ``side`` x ``side`` pixels with one face, unlit and without noise."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (side, side), int(look.backdrop))
    pen = ImageDraw.Draw(image)
    shapes = _head(look) + _features(expression, look, pose.turn) + _extras(look, pose.turn)
    for shape, points in zip(shapes, _place(shapes, pose, side), strict=True):
        shade = int(min(255.0, max(0.0, shape.shade)))
        if shape.width:
            pen.line(points, shade, max(1, round(shape.width * pose.half_width * side)))
        else:
            pen.polygon(points, shade)
    return image


def _place(shapes: list[Shape], pose: Pose, side: int) -> list[list[float]]:
    """Each shape's points in pixels, as x, y, x, y …; one product for all: the shapes are many and small."""
    cos, sin = np.cos(pose.roll), np.sin(pose.roll)
    matrix = np.array([[cos, sin], [-sin, cos]]) * np.array([[pose.half_width], [pose.half_height]]) * side
    placed = np.concatenate([shape.points for shape in shapes]) @ matrix + np.array([pose.x, pose.y]) * side
    ends = np.cumsum([len(shape.points) for shape in shapes])[:-1]
    return [points.ravel().tolist() for points in np.split(placed, ends)]


def _oval(x: float, y: float, rx: float, ry: float) -> Points:
    return _CIRCLE * (rx, ry) + (x, y)


def _line(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float64)


def _head(look: Look) -> list[Shape]:
    shapes = [Shape(_line((-0.45, 0.6), (0.45, 0.6), (0.6, 2.5), (-0.6, 2.5)), look.skin * 0.75)]
    if look.length > 0.55:
        shapes.insert(0, Shape(_oval(0, 0.1, 1.25, 1.2), look.hair))
    for side in (-1, 1):
        shapes.append(Shape(_oval(side * 1.0, 0.0, 0.13, 0.2), look.skin * 0.85))
    shapes.append(Shape(_oval(0, -0.25, 1.06, 0.9), look.hair))
    shapes.append(Shape(_oval(0, 0, 1.0, 1.0), look.skin))
    brow = -0.75 + 0.25 * look.fringe
    arc = _CIRCLE[_CIRCLE[:, 1] < brow] * (1.04, 1.12)
    shapes.append(Shape(arc, look.hair))
    if look.beard > 0.85:
        shapes.append(Shape(_CIRCLE[_CIRCLE[:, 1] > 0.45], look.skin * 0.6))
    return shapes


def _features(expression: list[float], look: Look, turn: float) -> list[Shape]:
    tilt, lift, opening, curve, gap, width, skew, wrinkle, teeth = expression
    shapes: list[Shape] = []
    for side in (-1, 1):
        shapes += _eye(side, turn, opening - 0.15 * side * skew, look)
        shapes.append(_brow(side, turn, tilt, lift + 0.5 * max(0.0, side * skew), look))
    shapes += _nose(turn, wrinkle, look.skin)
    if curve > 0.4 or wrinkle > 0.4:
        shapes += _folds(turn, look.skin)
    return shapes + _mouth(turn, (curve, gap, width, skew, teeth), look)


def _eye(side: int, turn: float, opening: float, look: Look) -> list[Shape]:
    x, y, ry = side * 0.42 * look.spread + turn, -0.16, max(0.015, 0.1 * opening)
    iris = min(0.1, ry)
    return [
        Shape(_oval(x, y - 0.02, 0.21, ry + 0.05), look.skin * 0.72),
        Shape(_oval(x, y, 0.18, ry), min(250.0, look.skin * 0.4 + 150)),
        Shape(_oval(x + turn * 0.2, y, 0.085, iris), 25),
    ]


def _brow(side: int, turn: float, tilt: float, lift: float, look: Look) -> Shape:
    inner, outer = -0.42 - 0.13 * lift - 0.13 * tilt, -0.42 - 0.13 * lift + 0.08 * tilt
    middle = (inner + outer) / 2 - 0.05
    thick, base = 0.05 + 0.05 * look.brow, side * 0.42 * look.spread + turn
    top = [(base - side * 0.27, inner), (base, middle), (base + side * 0.25, outer)]
    return Shape(_line(*top, *((x, y + thick) for x, y in reversed(top))), min(look.hair, look.skin * 0.45))


def _nose(turn: float, wrinkle: float, skin: float) -> list[Shape]:
    x = turn * 1.3
    bridge = _line((x + 0.03, -0.1), (x + 0.13, 0.2), (x, 0.25), (x - 0.1, 0.22))
    shapes = [Shape(bridge, skin * 0.68, 0.05)]
    for step in range(3 if wrinkle > 0.4 else 0):
        y = -0.3 + 0.1 * step
        shapes.append(Shape(_line((x - 0.14, y + 0.03), (x, y), (x + 0.14, y + 0.03)), skin * 0.6, 0.04))
    return shapes


def _folds(turn: float, skin: float) -> list[Shape]:
    lines = (_line((side * 0.2 + turn, 0.2), (side * 0.5 + turn, 0.45)) for side in (-1, 1))
    return [Shape(line, skin * 0.72, 0.05) for line in lines]


def _mouth(turn: float, form: tuple[float, float, float, float, float], look: Look) -> list[Shape]:
    curve, gap, width, skew, teeth = form
    x = _ACROSS * 0.36 * width * look.mouth + turn
    corners = -0.15 * curve - 0.2 * np.maximum(0, _ACROSS) * skew
    middle = 0.52 + 0.07 * curve * (1 - _ACROSS**2) + corners * _ACROSS**2
    upper, lower = middle - 0.1 * gap * _BULGE, middle + 0.26 * gap * _BULGE
    lips = look.skin * 0.55
    shapes = [Shape(_band(x, upper - 0.045 * (0.4 + _BULGE), lower + 0.06 * (0.4 + _BULGE)), lips)]
    shapes.append(Shape(_band(x, upper - 0.012, lower + 0.012), 20))
    if teeth * gap > 0.05:
        shapes.append(Shape(_band(x * 0.9 + turn * 0.1, upper, upper + 0.2 * gap * _BULGE), 225))
    return shapes


def _band(x: Points, upper: Points, lower: Points) -> Points:
    outline = np.stack([np.concatenate([x, x[::-1]]), np.concatenate([upper, lower[::-1]])], axis=1)
    return np.asarray(outline, np.float64)


def _extras(look: Look, turn: float) -> list[Shape]:
    shapes: list[Shape] = []
    if look.glasses > 0.86:
        for side in (-1, 1):
            rim = _oval(side * 0.42 * look.spread + turn, -0.16, 0.3, 0.22)
            shapes.append(Shape(np.concatenate([rim, rim[:1]]), 35, 0.06))
        shapes.append(Shape(_line((turn - 0.14, -0.2), (turn + 0.14, -0.2)), 35, 0.06))
    if look.cover > 0.98:
        fingers = (_oval(x, 0.85, 0.14, 0.38) for x in (0.55, 0.3, 0.05, -0.2))
        shapes += [Shape(finger, look.skin * 0.8) for finger in fingers]
    elif look.cover < 0.03:
        side = 1 if look.cover < 0.015 else -1
        shapes.append(Shape(_line((side, -0.5), (side * 0.3, -0.5), (side * 0.3, 0.6), (side, 0.6)), 90))
    return shapes
