"""The Pareto front: the choices worth discussing."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is at least as good as ``other`` in both respects and better in one.

    A point is (cost, worth): less cost is better (bytes, milliseconds), more worth is better (F1).
    """
    return one[0] <= other[0] and one[1] >= other[1] and one != other


def pareto_front(points: Sequence[Point]) -> tuple[int, ...]:
    """Indices of the points that no other point dominates, by ascending cost.

    Points are (cost, worth) as in ``dominates``. Equal points are on the front together.

    Raises:
        ValueError: a number is not finite.
    """
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("a Pareto front needs finite numbers")
    front: list[int] = []
    best = -math.inf
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i)):
        worth = points[index][1]
        if worth > best or (front and points[index] == points[front[-1]]):
            front.append(index)
            best = worth
    return tuple(front)
