"""Which channels go: the least important ones for what they save, until a budget is met.

A plan is reached in steps. Each step takes the least important units of one group, as many as bring the group's width
to a multiple; the next step is always the one that loses the least importance for each multiply-accumulate (or
parameter) it saves, where importance can be weighed against savings. So there is one row of plans from the whole
network to the smallest, and a budget is met by the first of them that is within it.

Under a budget in latency a step's price is its multiply-accumulates as well. Much of a small network's time goes into
starting layers, but no channel that is removed saves a start: what it does save is its share of the arithmetic.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from edgefer.compression.channel_costs import Costs, Counts, Price
from edgefer.compression.channel_groups import Channels, Keep
from edgefer.compression.channel_importance import Scores
from edgefer.compression.channel_marks import Ids


@dataclass(frozen=True)
class Limits:
    """A group keeps ``minimum`` of its width at least, and no fewer than ``multiple`` units.

    Widths are cut to multiples of ``multiple``; a group that is no wider is left whole.
    """

    minimum: float = 0.1
    multiple: int = 8

    def least(self, width: int) -> int:
        """The smallest number of units that a group of ``width`` may keep."""
        # A share like 0.7 of 10 is no more than 7, whatever binary fractions say.
        wanted = math.ceil(max(self.minimum * width, 1) - 1e-9)
        rounded = math.ceil(wanted / self.multiple) * self.multiple
        return min(rounded, width)


def smallest_share(channels: Channels, costs: Costs, limits: Limits, price: Price) -> float:
    """What the smallest plan keeps of the whole network's cost."""
    least = np.array([limits.least(len(group.units)) for group in channels.groups], np.int64)
    return costs.share(price, least)


@dataclass(frozen=True)
class Plans:
    """The row of plans. ``counts[n]``, shape (groups,), are the units that the first ``n`` steps leave in each group.

    ``ranked`` are each group's units, the least important first.
    """

    channels: Channels
    costs: Costs
    ranked: tuple[Ids, ...]
    counts: tuple[Counts, ...]

    def keep(self, steps: int) -> Keep:
        """The plan, bool (units,), after that many steps."""
        keep = np.ones(self.channels.units, np.bool_)
        for units, left in zip(self.ranked, self.counts[steps], strict=True):
            keep[units[: len(units) - left]] = False
        return keep

    def shares(self, price: Price) -> list[float]:
        """The part of the whole network's cost that each plan keeps, falling from 1."""
        return [self.costs.share(price, counts) for counts in self.counts]

    def within(self, price: Price, target: float) -> Keep:
        """The first plan that keeps at most ``target``; there must be one, as ``smallest_share`` tells."""
        return self.keep(bisect_left(self.shares(price), -target, key=lambda share: -share))


def plans(channels: Channels, costs: Costs, scores: Scores, limits: Limits, price: Price | None) -> Plans:
    """All plans from the whole network to the smallest.

    ``price`` is what a step should save; None where scores say how far a group may shrink beside the others and not
    what is lost.
    """
    ranked = tuple(group.units[np.argsort(scores[group.units], kind="stable")] for group in channels.groups)
    counts = [costs.widths]
    for group, size in _removal_order(channels, costs, scores, limits, price):
        left = counts[-1].copy()
        left[group] -= size
        counts.append(left)
    return Plans(channels, costs, ranked, tuple(counts))


def _removal_order(
    channels: Channels, costs: Costs, scores: Scores, limits: Limits, price: Price | None
) -> list[tuple[int, int]]:
    """All steps, each a group and how many units of it go, down to the narrowest plan."""
    sizes = [_cuts(len(group.units), limits) for group in channels.groups]
    losses = [
        _losses(np.sort(scores[group.units]), cuts)
        for group, cuts in zip(channels.groups, sizes, strict=True)
    ]
    counts: Counts = costs.widths.copy()
    at = [0] * len(sizes)
    order: list[tuple[int, int]] = []
    while any(done < len(cuts) for done, cuts in zip(at, sizes, strict=True)):
        savings = costs.savings(price, counts) if price else np.ones(len(sizes))
        worth = [
            loss[done] / max(savings[group], 1e-9) if done < len(loss) else np.inf
            for group, (loss, done) in enumerate(zip(losses, at, strict=True))
        ]
        group = int(np.argmin(worth))
        order.append((group, sizes[group][at[group]]))
        counts[group] -= sizes[group][at[group]]
        at[group] += 1
    return order


def _cuts(width: int, limits: Limits) -> list[int]:
    """How many units each step takes from a group of ``width``: the first brings it to a multiple."""
    least = limits.least(width)
    first = min(width % limits.multiple, width - least)
    return [first] * bool(first) + [limits.multiple] * ((width - first - least) // limits.multiple)


def _losses(ascending: Scores, cuts: list[int]) -> Scores:
    """Mean importance of the units that each cut takes."""
    ends = np.cumsum(cuts, dtype=np.intp)
    return np.array([ascending[end - size : end].mean() for end, size in zip(ends, cuts, strict=True)])
