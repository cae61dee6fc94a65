"""The timing core: interleaved, seeded, stopped by time *and* count, and honest about unrest.

It imports numpy and the standard library only, because it is shipped to devices. It knows neither models nor
scores: what it times is any callable.

How a measurement goes, for all contenders together at one batch size:

1. Warm-up, one contender after the other, in windows of at least ``window_runs`` runs and
   ``window_seconds``. It ends when a change-point test (``edgefer.bench.steady``) finds no change of more than
   ``warmup_tolerance`` in the medians of the last ``windows`` of them, or, unsettled, at the end of the first
   window past ``max_warmup_seconds`` (but never before ``windows``).
2. Rounds. In each round every contender gets one block, in an order shuffled anew from ``seed``, so that a
   drift of the machine hits all alike. A block is a lead-in of uncounted runs, at least one and
   ``lead_seconds`` (it refills the caches that its neighbours emptied, and outlasts the busy waiting of their
   threads), then at least ``block_runs`` samples and ``block_seconds``. Garbage collection is off inside it.
3. Rounds end when *every* contender has both ``min_seconds`` and ``min_iterations`` of samples; until then
   all keep running, so that all cover the same span of time. Only one that has used up ``max_seconds`` leaves
   earlier, and says so if it is short of runs: a single slow file must not hold up all others for minutes.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from edgefer.bench.steady import is_steady

Key = TypeVar("Key")
Clock = Callable[[], int]

SPREAD_LIMIT = 0.15
DRIFT_LIMIT = 0.10


@dataclass(frozen=True)
class Plan:
    """When to stop and how to interleave; see the module for what each value does. Times are in seconds."""

    min_seconds: float = 2.0
    min_iterations: int = 30
    max_seconds: float = 30.0
    max_warmup_seconds: float = 5.0
    warmup_tolerance: float = 0.05
    windows: int = 12
    window_runs: int = 1
    window_seconds: float = 0.02
    lead_seconds: float = 0.005
    block_runs: int = 3
    block_seconds: float = 0.1
    seed: int = 0

    def lasting(self, min_seconds: float) -> Plan:
        """The same plan with samples of at least ``min_seconds``."""
        return replace(self, min_seconds=min_seconds, max_seconds=max(self.max_seconds, min_seconds))


@dataclass(frozen=True)
class Samples:
    """Times of single runs in nanoseconds, in the order they were taken.

    ``warmup_ns`` are the runs that do not count: the warm-up, then the lead-in of every block. ``unstable``
    is empty, or says why the samples may not be trusted. ``blocks`` are the numbers of samples in each block, in
    order: the blocks of one number, of all that were measured together, make one round.
    """

    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    unstable: str = ""
    blocks: tuple[int, ...] = ()


@dataclass
class _Contender:
    """What is timed, and its times so far."""

    run: Callable[[], object]
    warmup: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    total_ns: int = 0
    settled: bool = False


def measure(
    runs: Mapping[Key, Callable[[], object]],
    plan: Plan,
    *,
    clock: Clock = time.perf_counter_ns,
    advance: Callable[[float], None] | None = None,
) -> dict[Key, Samples]:
    """Time all ``runs`` interleaved by ``plan``.

    ``clock`` gives nanoseconds; ``advance`` is told, between rounds, which share (0..1) of the minima is
    reached. What a run raises passes through.
    """
    contenders = {key: _Contender(run) for key, run in runs.items()}
    for contender in contenders.values():
        _warm_up(contender, plan, clock)
    rng = np.random.default_rng(plan.seed)
    while (order := _still_in(contenders, plan)) and (share := min(_share(each, plan) for each in order)) < 1:
        if advance:
            advance(share)
        for number in rng.permutation(len(order)):
            _block(order[number], plan, clock)
    return {key: _result(contender, plan) for key, contender in contenders.items()}


def instability(samples_ns: Sequence[int]) -> str:
    """Say why a series of samples is unstable, or "".

    Two robust rules, blind to single outliers: the middle half of the samples spreads over more than
    ``SPREAD_LIMIT`` of the median, or the medians of the first and second half differ by more than
    ``DRIFT_LIMIT`` of it.
    """
    values = np.asarray(samples_ns, dtype=np.float64)
    if len(values) < 2:
        return "fewer than two samples"
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    first, second = (np.median(half) for half in np.array_split(values, 2))
    # A null backend can be faster than the clock's tick.
    spread, drift = (high - low) / max(median, 1.0), (second - first) / max(median, 1.0)
    reasons = []
    if spread > SPREAD_LIMIT:
        reasons.append(f"the middle half of the samples spreads over {spread:.0%} of the median")
    if abs(drift) > DRIFT_LIMIT:
        pace = "slower" if drift > 0 else "faster"
        reasons.append(f"the second half ran {abs(drift):.0%} {pace} than the first")
    return "; ".join(reasons)


def _still_in(contenders: Mapping[Key, _Contender], plan: Plan) -> list[_Contender]:
    """Those that have not used up their time."""
    return [each for each in contenders.values() if each.total_ns < plan.max_seconds * 1e9]


def _share(contender: _Contender, plan: Plan) -> float:
    """How much of both minima is reached, 0..1."""
    count = len(contender.samples) / plan.min_iterations if plan.min_iterations else 1.0
    seconds = contender.total_ns / 1e9 / plan.min_seconds if plan.min_seconds else 1.0
    return min(count, seconds, 1.0)


def _warm_up(contender: _Contender, plan: Plan, clock: Clock) -> None:
    """Run windows until the last of them hold one level, or the bound is passed."""
    start, medians = clock(), list[float]()
    while not contender.settled:
        window = _timed(contender.run, plan.window_runs, plan.window_seconds, clock)
        contender.warmup.extend(window)
        medians.append(float(np.median(window)))
        if len(medians) < plan.windows:
            continue
        contender.settled = is_steady(medians[-plan.windows :], plan.warmup_tolerance)
        if (clock() - start) / 1e9 >= plan.max_warmup_seconds:
            return


def _block(contender: _Contender, plan: Plan, clock: Clock) -> None:
    """A lead-in of uncounted runs, then a block of samples."""
    contender.warmup.extend(_timed(contender.run, 1, plan.lead_seconds, clock))
    block = _timed(contender.run, plan.block_runs, plan.block_seconds, clock)
    contender.samples.extend(block)
    contender.blocks.append(len(block))
    contender.total_ns += sum(block)


def _timed(run: Callable[[], object], least: int, seconds: float, clock: Clock) -> list[int]:
    """Times of single runs: at least ``least`` of them, and for at least ``seconds``."""
    times: list[int] = []
    with _no_garbage_collection():
        begin = end = clock()
        while len(times) < least or end - begin < seconds * 1e9:
            start = clock()
            run()
            end = clock()
            times.append(end - start)
    return times


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector from striking inside a sample."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _result(contender: _Contender, plan: Plan) -> Samples:
    """Freeze a contender's times and judge them."""
    reasons = [instability(contender.samples)]
    if not contender.settled:
        reasons.append(f"warm-up did not settle in {plan.max_warmup_seconds:g} s")
    if len(contender.samples) < plan.min_iterations:
        reasons.append(
            f"only {len(contender.samples)} of {plan.min_iterations} runs in {plan.max_seconds:g} s"
        )
    unstable = "; ".join(reason for reason in reasons if reason)
    return Samples(tuple(contender.warmup), tuple(contender.samples), unstable, tuple(contender.blocks))
