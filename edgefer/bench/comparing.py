"""Whether B is faster or slower than A, or neither can be said: the ratio of their times with its interval.

What a difference must stand out from, on the log scale:

- **Records of one run** were taken in turns, block by block. Their blocks are compared round by round, so that whatever
  slows the machine for longer than a round hits both and cancels. The middle of these ratios and its interval are
  Hodges and Lehmann's: rounds that were disturbed move neither. A process also puts each file at other addresses, and
  that alone makes equal files differ: ``PLACEMENT`` stands for it.
- **Records of different runs** were taken at different times. Their medians are compared; each brings the bootstrap's
  variance of its own, and ``RUN_TO_RUN`` for the machine, which does not stay as it is from minute to minute. Several
  runs of a side are not averaged as if they were independent: runs in a row share the machine's mood.

Both constants are what was seen between runs of one unchanged file on a shared virtual machine, by
``benchmarks/trust.py``, which also checks how often equal files are called different. Where several runs were given and
differ by more among each other, that counts instead.

Sources: that runs are a level of variance of their own, Kalibera and Jones 2013, "Rigorous benchmarking in reasonable
time", ISMM, and Georges, Buytaert, Eeckhout 2007, "Statistically rigorous Java performance evaluation", OOPSLA; that
placement is one, Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong", ASPLOS.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from edgefer.bench.intervals import blocks_of, resampled_medians, signed_rank_interval
from edgefer.bench.record import BatchTiming, RunRecord
from edgefer.spec import Frozen

Verdict = Literal["faster", "slower", "not significant"]

LEVEL = 0.99
"""Of the intervals: many sizes and files are compared, and 95 % would call every twentieth equal pair different."""

PLACEMENT = 0.004
"""Standard deviation of the log ratio of two equal files in one process, once the rounds' own noise is gone."""

RUN_TO_RUN = 0.025
"""Standard deviation of the log median of one file between runs minutes apart."""


class Compared(Frozen, frozen=True):
    """B against A at one batch size.

    ``ratio`` is B's time divided by A's, below 1 where B is faster; ``low`` and ``high`` are its interval, None where
    there are too few rounds for one. ``a_ms`` and ``b_ms`` are medians of all samples. ``basis`` says what was
    compared.
    """

    batch: int
    verdict: Verdict
    ratio: float
    low: float | None
    high: float | None
    level: float
    a_ms: float
    b_ms: float
    basis: str


def compare_batch(a: Sequence[RunRecord], b: Sequence[RunRecord], batch: int) -> Compared:
    """Compare the records of two artifacts at a batch size that each of them has.

    Where records of A and B are of the same runs, only those are used.
    """
    sides = [[_timing(record, batch) for record in side] for side in (a, b)]
    pairs = [
        (_timing(first, batch), _timing(second, batch))
        for first in a
        for second in b
        if first.run and first.run == second.run
    ]
    middles = [statistics.median(timing.latency_ns() for timing in side) for side in sides]
    found, ratio, basis = _paired(pairs) if pairs else _apart(*sides)
    low, high = _bounds(found)
    return Compared(
        batch=batch,
        verdict=_verdict(found),
        ratio=ratio,
        low=low,
        high=high,
        level=LEVEL,
        a_ms=middles[0] / 1e6,
        b_ms=middles[1] / 1e6,
        basis=basis,
    )


class Paired(NamedTuple):
    """A ratio of times with its interval of ``LEVEL``, None where there are too few rounds for one."""

    ratio: float
    low: float | None
    high: float | None


def paired(a: BatchTiming, b: BatchTiming) -> Paired:
    """B's time divided by A's, both timed in one run."""
    found, ratio, _ = _paired([(a, b)])
    return Paired(ratio, *_bounds(found))


def common_batches(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> list[int]:
    """Batch sizes that every record has, ascending."""
    sizes = [{timing.batch for timing in record.timings} for record in (*a, *b)]
    return sorted(set.intersection(*sizes))


Interval = tuple[float, float] | None


def _bounds(found: Interval) -> tuple[float | None, float | None]:
    """Ends of an interval of log ratios as ratios."""
    return (math.exp(found[0]), math.exp(found[1])) if found else (None, None)


def _paired(pairs: Sequence[tuple[BatchTiming, BatchTiming]]) -> tuple[Interval, float, str]:
    """Interval of the log ratio, the ratio, and what was compared: rounds of one or more runs."""
    logs = [round_logs(first, second) for first, second in pairs]
    rounds = sum(map(len, logs))
    basis = f"{rounds} rounds of {len(pairs)} run{'s' * (len(pairs) != 1)}"
    found = [signed_rank_interval(each, LEVEL) for each in logs]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None, math.exp(float(np.median(np.concatenate(logs)))), f"{basis}: too few for an interval"
    middle = statistics.fmean(estimate for estimate, _, _ in known)
    spread = max(PLACEMENT, _deviation([estimate for estimate, _, _ in known]))
    between = _z() * spread / math.sqrt(len(known))
    down = math.hypot(between, *((estimate - low) / len(known) for estimate, low, _ in known))
    up = math.hypot(between, *((high - estimate) / len(known) for estimate, _, high in known))
    return (middle - down, middle + up), math.exp(middle), basis


def _apart(a: Sequence[BatchTiming], b: Sequence[BatchTiming]) -> tuple[Interval, float, str]:
    """The same for records that share no run."""
    (first, first_variance), (second, second_variance) = _side(a), _side(b)
    middle, half = second - first, _z() * math.sqrt(first_variance + second_variance)
    basis = f"different runs ({len(a)} of A, {len(b)} of B)"
    return (middle - half, middle + half), math.exp(middle), basis


def _side(timings: Sequence[BatchTiming]) -> tuple[float, float]:
    """Log median of one side and its variance; see the module."""
    logs = [math.log(timing.latency_ns()) for timing in timings]
    within = sum(float(np.var(np.log(resampled_medians(timing)))) for timing in timings) / len(timings) ** 2
    return statistics.median(logs), within + max(RUN_TO_RUN, _deviation(logs)) ** 2


def round_logs(a: BatchTiming, b: BatchTiming) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Log ratio of the medians of each round that both took part in."""
    pairs = zip(blocks_of(a), blocks_of(b), strict=False)
    return np.array([math.log(float(np.median(theirs)) / float(np.median(mine))) for mine, theirs in pairs])


def _verdict(interval: Interval) -> Verdict:
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "not significant"
    return "faster" if interval[1] < 0 else "slower"


def _timing(record: RunRecord, batch: int) -> BatchTiming:
    return next(timing for timing in record.timings if timing.batch == batch)


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _z() -> float:
    """How many standard deviations a normal interval of ``LEVEL`` reaches."""
    return statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
