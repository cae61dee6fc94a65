"""Which channels go: the least important ones for what they save, until a budget is met.

A plan is reached in steps. Each step takes the least important units of one group, as many as bring the group's width
to a multiple; the next step is always the one that loses the least importance for each multiply-accumulate (or
parameter) it saves, where importance can be weighed against savings. So there is one row of plans from the whole
network to the smallest, and a budget is met by the first of them that is within it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgefer.compression.channel_costs import Costs, Counts, Price, counts_of
from edgefer.compression.channel_groups import Channels, Keep
from edgefer.compression.channel_importance import Scores
from edgefer.errors import SettingError

Share = Callable[[Keep], float]


class Budget(NamedTuple):
    """What may be kept.

    ``share`` gives the part of the whole network's cost that a plan keeps, and ``target`` is the largest that is
    allowed; ``price`` is what a step should save, None where scores say how far a group may shrink beside the others
    and not what is lost. ``key`` is the setting that stated it.
    """

    key: str
    target: float
    share: Share
    price: Price | None


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


def budget_of(channels: Channels, costs: Costs, price: Price, target: float) -> Budget:
    """A budget in multiply-accumulates or in parameters."""
    return Budget(price, target, lambda keep: costs.share(price, counts_of(channels, keep)), price)


def refuse_unreachable(channels: Channels, limits: Limits, budget: Budget) -> None:
    """Raise ``SettingError``, naming the smallest share, unless the smallest plan is within the budget."""
    # Units of one group cost the same, so that any of them tell the smallest share.
    keep = np.ones(channels.units, np.bool_)
    for group in channels.groups:
        keep[group.units[limits.least(len(group.units)) :]] = False
    smallest = budget.share(keep)
    if smallest > budget.target:
        raise SettingError(
            f"{budget.key}: no plan keeps as little as {budget.target:g}; the smallest that can be reached is "
            f"{math.ceil(smallest * 1000) / 1000:g}",
            key=budget.key,
            hint="lower minimum or multiple, exclude fewer layers or choose another importance",
        )


def plan(channels: Channels, costs: Costs, scores: Scores, limits: Limits, budget: Budget) -> Keep:
    """The plan, bool (units,), that loses little importance and is within the budget.

    Raises:
        SettingError: no plan is.
    """
    refuse_unreachable(channels, limits, budget)
    order = removal_order(channels, costs, scores, limits, budget.price)
    ranked = [group.units[np.argsort(scores[group.units], kind="stable")] for group in channels.groups]

    def after(steps: int) -> Keep:
        keep = np.ones(channels.units, np.bool_)
        removed = np.bincount(
            [group for group, _ in order[:steps]], [size for _, size in order[:steps]], len(ranked)
        )
        for units, number in zip(ranked, removed.astype(int), strict=True):
            keep[units[:number]] = False
        return keep

    steps = bisect_left(range(len(order)), -budget.target, key=lambda steps: -budget.share(after(steps)))
    return after(steps)


def removal_order(
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
