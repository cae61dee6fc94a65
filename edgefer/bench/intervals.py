"""How sure medians and their ratios are, from samples that were taken in blocks.

Single runs are not independent: what disturbs one disturbs its neighbours. So whole blocks are drawn anew, never runs.

Sources: bootstrap of clusters, Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8; of
blocks of a series, for records that do not say where their blocks end, Künsch 1989, Annals of Statistics 17.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.bench.record import BatchTiming

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 1000
FEWEST_BLOCKS = 5
"""Blocks below which drawing them anew says nothing: of one alone, every drawing is the same."""
GRID = 512
"""Samples between which a resampled median is looked for; with fewer samples than that it is found exactly."""


def blocks_of(timing: BatchTiming) -> list[Floats]:
    """The samples in nanoseconds, block by block; where no blocks are known, about as many as each has samples."""
    samples = np.asarray(timing.samples_ns, dtype=np.float64)
    if timing.blocks:
        return np.split(samples, np.cumsum(timing.blocks)[:-1])
    return _stretches(samples)


def _stretches(samples: Floats) -> list[Floats]:
    return np.array_split(samples, max(1, int(np.sqrt(len(samples)))))


def median_interval(timing: BatchTiming, level: float = LEVEL) -> tuple[float, float]:
    """Percentile bootstrap interval of the median in nanoseconds, blocks being drawn anew; it holds the median."""
    tails = (1 - level) / 2
    low, high = np.quantile(resampled_medians(timing), (tails, 1 - tails))
    # The median of an even number of samples lies between two of them, a redrawn one on one of them.
    median = timing.latency_ns()
    return min(float(low), median), max(float(high), median)


def resampled_medians(timing: BatchTiming) -> Floats:
    """Medians in nanoseconds of ``RESAMPLES`` sets of as many blocks, drawn with replacement; the same on each call.

    With fewer than ``FEWEST_BLOCKS`` blocks, shorter stretches of the series are drawn instead.
    """
    blocks = blocks_of(timing)
    if len(blocks) < FEWEST_BLOCKS:
        blocks = _stretches(np.concatenate(blocks))
    values = np.sort(np.concatenate(blocks))
    grid = values[np.unique(np.linspace(0, len(values) - 1, GRID).round().astype(int))]
    below = np.array([np.searchsorted(np.sort(block), grid, side="right") for block in blocks])
    sizes = np.array([len(block) for block in blocks])
    drawn = np.random.default_rng(0).multinomial(
        len(blocks), np.full(len(blocks), 1 / len(blocks)), RESAMPLES
    )
    # The first value that at least half of the drawn samples do not exceed.
    reached = drawn @ below >= (drawn @ sizes)[:, None] / 2
    medians: Floats = grid[np.argmax(reached, axis=1)]
    return medians


def signed_rank_interval(
    differences: Sequence[float] | Floats, level: float
) -> tuple[float, float, float] | None:
    """Hodges-Lehmann estimate of the middle of paired differences, with its exact signed-rank interval.

    Returns (estimate, low, high); None if there are too few differences for this level. Single wild pairs move neither.

    Source: Hodges and Lehmann 1963, Annals of Mathematical Statistics 34; the interval by inverting Wilcoxon's test,
    Hollander and Wolfe 1999, "Nonparametric Statistical Methods", section 3.3.
    """
    values = np.asarray(differences, dtype=np.float64)
    first, second = np.triu_indices(len(values))
    means = np.sort((values[first] + values[second]) / 2)
    cut = _critical(len(values), (1 - level) / 2)
    if cut is None:
        return None
    return float(np.median(means)), float(means[cut]), float(means[-1 - cut])


@functools.cache
def _critical(count: int, tail: float) -> int | None:
    """How many of the sorted means lie outside on each side: the rank sums that together have at most ``tail``."""
    if count > 50:  # the normal approximation, Hollander and Wolfe's large-sample form
        spread = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return int(count * (count + 1) / 4 + NormalDist().inv_cdf(tail) * spread)
    ways: Any = np.ones(1)
    for rank in range(1, count + 1):
        ways = np.convolve(ways, np.r_[1, np.zeros(rank - 1), 1])
    outside = int(np.searchsorted(np.cumsum(ways) / 2.0**count, tail, side="right"))
    return outside - 1 if outside else None
