"""What MLPerf Inference's scenarios would say of a record's samples: their names and rules, no submission.

============ =====================================================================================================
SingleStream one image a query, the next when the last is answered: 90th percentile of the latency
MultiStream  eight images a query, likewise: 99th percentile
Offline      all images at hand at once: images per second, at the batch size that gives most
============ =====================================================================================================

A percentile is LoadGen's early-stopping estimate: the smallest sample that, with 99 % confidence, the true percentile
does not exceed. It asks for 64 queries at p90 and 662 at p99; with fewer there is none. Our runs last seconds, not the
ten minutes of a submission, and images stand ready in memory.

Source: Reddi et al. 2020, "MLPerf Inference Benchmark", ISCA; MLPerf Inference rules, "Scenarios" and appendix "Early
Stopping Criterion"; LoadGen, early_stopping.cc.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from edgefer.bench.record import BatchTiming
from edgefer.spec import Frozen

CONFIDENCE = 0.99
SINGLE, MULTI = 1, 8


class Scenario(Frozen, frozen=True):
    """One scenario's figure, in ``unit`` (ms or images/s); None with the reason in ``missing``."""

    name: str
    unit: str
    value: float | None = None
    batch: int | None = None
    missing: str = ""


def scenarios(timings: Sequence[BatchTiming]) -> tuple[Scenario, ...]:
    """The three scenarios, of the timings of one artifact that are there."""
    return (
        _stream("SingleStream", timings, SINGLE, 0.90),
        _stream("MultiStream", timings, MULTI, 0.99),
        _offline(timings),
    )


def percentile_bound(samples: Sequence[float], percentile: float) -> float | None:
    """LoadGen's early-stopping estimate; None with too few samples.

    With t samples above a true percentile as rare as ``1 - CONFIDENCE``, the t-th largest is not below it.
    """
    most = _exceeding(len(samples), percentile)
    return sorted(samples)[-most] if most else None


@functools.cache
def queries_needed(percentile: float) -> int:
    """The fewest samples that give an estimate."""
    count = 1
    while not _exceeding(count, percentile):
        count += 1
    return count


def _exceeding(count: int, percentile: float) -> int:
    """The largest t for which t or fewer of ``count`` samples above the percentile are too rare to be chance."""
    chance, above = 0.0, 1 - percentile
    for t in range(count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(t + 1) - math.lgamma(count - t + 1)
        chance += math.exp(ways + t * math.log(above) + (count - t) * math.log(percentile))
        if chance > 1 - CONFIDENCE:
            return max(t - 1, 0)
    return 0


def _stream(name: str, timings: Sequence[BatchTiming], batch: int, percentile: float) -> Scenario:
    """A percentile at one batch size, or why there is none."""
    timing = next((each for each in timings if each.batch == batch), None)
    if timing is None:
        return Scenario(name=name, unit="ms", missing=f"batch {batch} was not run")
    bound = percentile_bound(timing.samples_ns, percentile)
    if bound is None:
        few = f"{len(timing.samples_ns)} runs of the {queries_needed(percentile)} that p{100 * percentile:.0f} needs"
        return Scenario(name=name, unit="ms", batch=batch, missing=few)
    return Scenario(name=name, unit="ms", value=bound / 1e6, batch=batch)


def _offline(timings: Sequence[BatchTiming]) -> Scenario:
    """All images over all time: the mean, not the median, for a throughput has no quantiles."""
    rates = {t.batch: t.batch * len(t.samples_ns) / (sum(t.samples_ns) / 1e9) for t in timings}
    if not rates:
        return Scenario(name="Offline", unit="images/s", missing="no batch size was run")
    best = max(rates, key=lambda batch: rates[batch])
    return Scenario(name="Offline", unit="images/s", value=rates[best], batch=best)
