"""Classes that an average hides: lost ones, and those below a floor.

A rule on a class is an alarm. Rare classes have too few rows in any test set of faces to prove that they are kept, so
it is silent where the figures keep the rule; it fails where they break it and chance does not explain it; and it is
undecided where they break it and chance might.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgefer.gating.record import ClassChange, Interval, Standing
from edgefer.gating.resampling import Pair
from edgefer.metrics import holm

CERTAIN = 0.025
"""One-sided error of a class that is called lost or below its floor, over all classes together."""
LEFT = 0.5
"""A class is lost if fewer than this share of the baseline's hits is left."""


@dataclass(frozen=True)
class Counts:
    """Rows of one class: ``involved`` belong to it or are taken for it by the artifact, of which ``hits`` are both."""

    rows: int
    before_f1: float
    hits_before: int
    hits: int
    involved: int
    only_before: int
    only_after: int

    @property
    def f1(self) -> float:
        """Of the artifact."""
        return _f1(self.hits / self.involved) if self.involved else 0.0

    @property
    def p_lost(self) -> float | None:
        """McNemar's exact one-sided p of losing more than was won; None if enough hits are left."""
        from scipy.stats import binomtest

        if self.hits >= LEFT * self.hits_before:
            return None
        differing = self.only_before + self.only_after
        return float(binomtest(self.only_before, differing, alternative="greater").pvalue)

    def p_floor(self, floor: float) -> float | None:
        """Exact binomial p of so few hits if F1 were at the floor; None if it is."""
        from scipy.stats import binomtest

        if self.f1 >= floor or not self.involved:
            return None
        # F1 is 2J / (1 + J) of the share J of hits among the involved rows.
        return float(binomtest(self.hits, self.involved, floor / (2 - floor), alternative="less").pvalue)

    @property
    def interval(self) -> Interval:
        """The artifact's F1 with Clopper and Pearson's exact interval of the share of hits."""
        from scipy.stats import binomtest

        if not self.involved:
            return Interval(value=0.0, low=0.0, high=1.0)
        share = binomtest(self.hits, self.involved).proportion_ci(0.95, method="exact")
        return Interval(value=self.f1, low=_f1(float(share.low)), high=_f1(float(share.high)))


def _f1(share: float) -> float:
    return 2 * share / (1 + share)


def class_changes(
    pair: Pair, drops: Sequence[Interval], names: Sequence[str], floors: Mapping[str, float]
) -> tuple[ClassChange, ...]:
    """Every class with what became of it; ``drops`` are those of ``resampling``, ``floors`` F1 by class name.

    Sources: McNemar 1947; Clopper and Pearson 1934; Holm 1979 for testing several classes.
    """
    counts = [_count(pair, number) for number in range(len(names))]
    tests = [each.p_lost for each in counts]
    tests += [
        each.p_floor(floors[name]) if name in floors else None
        for name, each in zip(names, counts, strict=True)
    ]
    adjusted = _adjusted(tests)
    return tuple(
        _change(name, count, drop, floors.get(name), lost, low)
        for name, count, drop, lost, low in zip(
            names, counts, drops, adjusted[: len(names)], adjusted[len(names) :], strict=True
        )
    )


def _adjusted(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment of the p values there are."""
    found = iter(holm([each for each in p if each is not None]))
    return [None if each is None else next(found) for each in p]


def _change(
    name: str, count: Counts, drop: Interval, floor: float | None, p_lost: float | None, p_floor: float | None
) -> ClassChange:
    return ClassChange(
        name=name,
        rows=count.rows,
        before=count.before_f1,
        after=count.interval,
        drop=drop,
        only_before=count.only_before,
        only_after=count.only_after,
        p_lost=p_lost,
        floor=floor,
        p_floor=p_floor,
        standing=_standing(count.rows, p_lost, p_floor),
    )


def _standing(rows: int, p_lost: float | None, p_floor: float | None) -> Standing:
    if not rows:
        return "no rows"
    if p_lost is not None and p_lost < CERTAIN:
        return "lost"
    if p_floor is not None and p_floor < CERTAIN:
        return "below floor"
    return "kept" if p_lost is None and p_floor is None else "undecided"


def _count(pair: Pair, number: int) -> Counts:
    true = pair.labels == number
    before, after = (each.argmax(axis=1) == number for each in (pair.before, pair.after))
    share = np.sum(true & before) / max(int(np.sum(true | before)), 1)
    return Counts(
        rows=int(true.sum()),
        before_f1=_f1(float(share)),
        hits_before=int(np.sum(true & before)),
        hits=int(np.sum(true & after)),
        involved=int(np.sum(true | after)),
        only_before=int(np.sum(true & before & ~after)),
        only_after=int(np.sum(true & after & ~before)),
    )
