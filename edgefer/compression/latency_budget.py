"""How far a network is cut down for a share of its latency: a search that measures few of the plans.

Plans stand in a row, each cut further than the one before. Latency falls along it, not as fast as multiply-accumulates
do, and measuring one plan takes seconds. So the next plan to look at is where a straight line through the nearest two
around the budget meets it (regula falsi), or the middle of these where one of them has stayed twice in a row.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edgefer.backbones.base import Backbone
from edgefer.compression.base import Pace, Workshop
from edgefer.compression.shares import Shares
from edgefer.errors import SettingError

MOST = 7
"""Plans that are measured at most: by then the line meets the budget within a step or the noise of measuring."""
CLOSE = 0.02
"""Share of the whole network's latency by which a plan may stay below its budget without a further look."""


class Tried(NamedTuple):
    """A plan that was measured: how many cuts were made, and the share of the multiply-accumulates that they left."""

    cuts: int
    size: float
    pace: Pace


def fast_enough(
    whole: Backbone,
    cut: Callable[[int], Backbone],
    sizes: Sequence[float],
    options: Shares,
    workshop: Workshop,
) -> list[Tried]:
    """``search`` for the budget of ``options``; ``cut(n)`` is the backbone after ``n`` cuts."""

    def measure(cuts: int) -> Pace:
        workshop.note(f"latency: timing a plan with {sizes[cuts]:.0%} of the MACs")
        pace = workshop.pace(whole, cut(cuts), options.batch)
        doubt = f" (unstable: {pace.unstable})" if pace.unstable else ""
        workshop.note(f"latency: it takes {pace.ratio:.1%} of the time{doubt}")
        return pace

    assert options.latency is not None  # who calls has seen that it is the budget
    return search(sizes, options.latency, measure)


def search(sizes: Sequence[float], target: float, measure: Callable[[int], Pace]) -> list[Tried]:
    """Look for the fewest cuts after which the time is at most the share ``target`` of the whole network's.

    ``sizes[n]`` is the share of multiply-accumulates that ``n`` cuts leave, falling from ``sizes[0]``, the whole
    network's; ``measure(n)`` is the pace after ``n`` cuts. Returns what was measured, the chosen plan last: it was
    measured within the budget, never only thought to be.

    Raises:
        SettingError: not even the smallest plan is fast enough; names its measured share.
    """
    last = len(sizes) - 1
    least = Tried(last, sizes[last], measure(last))
    if least.pace.ratio > target:
        raise _unreachable(target, least.pace)
    slow, fast, tried, stayed = (0, sizes[0], 1.0), least, [least], 0
    while fast.cuts - slow[0] > 1 and fast.pace.ratio < target - CLOSE and len(tried) < MOST:
        cuts = _between(sizes, slow, fast, target - CLOSE / 2, halve=abs(stayed) > 1)
        found = Tried(cuts, sizes[cuts], measure(cuts))
        tried.append(found)
        if found.pace.ratio <= target:
            fast, stayed = found, max(stayed, 0) + 1
        else:
            slow, stayed = (cuts, found.size, found.pace.ratio), min(stayed, 0) - 1
    return [*(one for one in tried if one is not fast), fast]


def _between(
    sizes: Sequence[float], slow: tuple[int, float, float], fast: Tried, aim: float, *, halve: bool
) -> int:
    """Cuts whose size is where the line through two plans passes ``aim``, or half way, strictly between them."""
    share = 0.5 if halve else (aim - fast.pace.ratio) / (slow[2] - fast.pace.ratio)
    wanted = fast.size + share * (slow[1] - fast.size)
    cuts = bisect_left(sizes, -wanted, key=lambda size: -size)
    return min(max(cuts, slow[0] + 1), fast.cuts - 1)


def _unreachable(target: float, pace: Pace) -> SettingError:
    return SettingError(
        f"latency: no plan takes as little as {target:g} of the time; the smallest that was measured is "
        f"{math.ceil(pace.ratio * 1000) / 1000:g}",
        key="latency",
        hint="allow more of it, let fewer layers be kept, or remove whole residual blocks first (stage blocks)",
    )


def told(tried: Sequence[Tried], batch: int) -> dict[str, Any]:
    """What the search found, for a stage's findings: the chosen plan's share of the time, and all measured plans."""

    def plan(one: Tried) -> dict[str, Any]:
        pace = one.pace
        interval = (
            None if pace.low is None or pace.high is None else [round(pace.low, 4), round(pace.high, 4)]
        )
        return {
            "macs": round(one.size, 4),
            "ratio": round(pace.ratio, 4),
            "interval": interval,
            "unstable": pace.unstable,
        }

    return {"batch": batch, "ratio": round(tried[-1].pace.ratio, 4), "plans": [plan(one) for one in tried]}
