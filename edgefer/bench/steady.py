"""Whether a series has one level, or changes on the way: the test that ends a warm-up.

It imports numpy and the standard library only, because it is shipped to devices.

The statistic is Pettitt's: the ranks of the values before each possible change are summed and compared with what no
change would give; the largest deviation marks the likeliest place. Ranks make it blind to how far away an outlier is,
and a slow drift moves them as surely as a step does. Its distribution is not taken from Pettitt's formula, which is
too careful for short series, but from shuffling the very values: exact at any length and with ties.

Sources: A. N. Pettitt 1979, "A non-parametric approach to the change-point problem", Applied Statistics 28. That a
warm-up ends where change-point analysis finds no further change: Barrett, Bolz-Tereick, Killick, Mount, Tratt 2017,
"Virtual machine warmup blows hot and cold", OOPSLA. Monte Carlo p-value: Phipson and Smyth 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.05
SHUFFLES = 499


@dataclass(frozen=True)
class Change:
    """A change behind the first ``position`` values, from median ``before`` to median ``after``.

    ``p`` is how often a series without change deviates as much.
    """

    position: int
    before: float
    after: float
    p: float

    @property
    def size(self) -> float:
        """The change as a share of the level before it, without sign."""
        # A null backend can be faster than the clock's tick.
        return abs(self.after - self.before) / max(self.before, 1.0)


def change_point(values: Sequence[float], *, seed: int = 0) -> Change:
    """The likeliest change in a series of at least two values, however unlikely it is.

    Raises:
        ValueError: there are fewer than two.
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) < 2:
        raise ValueError("one value cannot change")
    ranks = _ranks(series)
    deviations = np.abs(_deviations(ranks[None]))[0]
    position = int(np.argmax(deviations)) + 1
    shuffled = np.random.default_rng(seed).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)
    as_large = np.abs(_deviations(shuffled)).max(axis=1) >= deviations.max() - 1e-9
    p = (1 + int(as_large.sum())) / (1 + SHUFFLES)
    return Change(position, float(np.median(series[:position])), float(np.median(series[position:])), p)


def is_steady(values: Sequence[float], tolerance: float) -> bool:
    """Whether a series holds its level: no significant change, or one of at most ``tolerance`` of that level.

    The tolerance is there because on a quiet machine a change of a thousandth is significant and of no interest.
    """
    found = change_point(values)
    return found.p > LEVEL or found.size <= tolerance


def _ranks(series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1 on, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(series, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def _deviations(ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pettitt's U behind each value but the last: ranks (series, N) → (series, N - 1)."""
    count = ranks.shape[1]
    found: npt.NDArray[np.float64] = 2 * np.cumsum(ranks, axis=1)[:, :-1] - np.arange(1, count) * (count + 1)
    return found
