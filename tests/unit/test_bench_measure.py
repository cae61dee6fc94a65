from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench.measure import DRIFT_LIMIT, SPREAD_LIMIT, Plan, instability, measure

MILLISECOND = 1_000_000
QUICK = Plan(
    min_seconds=0.05, min_iterations=10, max_warmup_seconds=0.05, window_seconds=0.005, block_seconds=0.01
)


class FakeClock:
    """Time that passes only while a fake backend runs."""

    def __init__(self):
        self.now = 0
        self.log = []

    def __call__(self):
        return self.now

    def backend(self, name, duration):
        """A run that takes ``duration`` (nanoseconds, or a function of how often it ran)."""
        count = 0

        def run():
            nonlocal count
            self.now += duration(count) if callable(duration) else duration
            count += 1
            self.log.append(name)

        return run


def test_fast_backend_runs_until_the_minimum_time():
    clock = FakeClock()
    plan = Plan(min_seconds=1.0, min_iterations=5)
    samples = measure({"a": clock.backend("a", MILLISECOND)}, plan, clock=clock)["a"]
    assert sum(samples.samples_ns) >= 1_000 * MILLISECOND
    assert len(samples.samples_ns) > 5
    assert set(samples.samples_ns) == {MILLISECOND}


def test_slow_backend_runs_until_the_minimum_iterations():
    clock = FakeClock()
    plan = Plan(min_seconds=1.0, min_iterations=20, max_seconds=100.0)
    samples = measure({"a": clock.backend("a", 2_000 * MILLISECOND)}, plan, clock=clock)["a"]
    assert 20 <= len(samples.samples_ns) <= 20 + plan.block_runs
    assert not samples.unstable


def test_one_very_slow_backend_does_not_hold_up_the_others_and_says_that_it_is_short_of_runs():
    clock = FakeClock()
    plan = Plan(min_seconds=1.0, min_iterations=20, max_seconds=10.0)
    slow, fast = clock.backend("slow", 3_000 * MILLISECOND), clock.backend("fast", 100 * MILLISECOND)
    found = measure({"slow": slow, "fast": fast}, plan, clock=clock)
    # Blocks of three runs: the second block passes the ten seconds.
    assert len(found["slow"].samples_ns) == 6
    assert "only 6 of 20 runs in 10 s" in found["slow"].unstable
    assert len(found["fast"].samples_ns) >= 20
    assert not found["fast"].unstable


def test_all_contenders_run_until_the_slowest_has_both_minima():
    clock = FakeClock()
    runs = {"fast": clock.backend("fast", MILLISECOND), "slow": clock.backend("slow", 300 * MILLISECOND)}
    found = measure(runs, Plan(min_seconds=0.2, min_iterations=30), clock=clock)
    assert len(found["slow"].samples_ns) == 30, "ten rounds of three runs"
    assert len(found["fast"].samples_ns) == 1000, "ten rounds of 0.1 s, though two would have been enough"


def test_every_round_gives_each_contender_one_block_in_a_seeded_order():
    plan = Plan(
        min_seconds=0.5, min_iterations=1, windows=2, window_runs=5, window_seconds=0.0, block_seconds=0.01
    )

    def orders(seed):
        clock = FakeClock()
        runs = {name: clock.backend(name, MILLISECOND) for name in "abcd"}
        measure(runs, replace(plan, seed=seed), clock=clock)
        rounds = "".join(clock.log)[40:]  # two windows of 5 for each of four
        blocks = [rounds[start] for start in range(0, len(rounds), 15)]  # 5 uncounted + 10 counted runs
        assert all(len(set(rounds[start : start + 15])) == 1 for start in range(0, len(rounds), 15))
        return ["".join(blocks[start : start + 4]) for start in range(0, len(blocks), 4)]

    first = orders(0)
    assert all(sorted(order) == list("abcd") for order in first)
    assert len(set(first)) > 5, "the order is shuffled anew in each round"
    assert first == orders(0)
    assert first != orders(1)


def test_the_lead_in_of_a_block_does_not_count():
    clock = FakeClock()
    plan = Plan(
        min_seconds=0.1,
        min_iterations=6,
        windows=2,
        window_runs=5,
        window_seconds=0.0,
        block_runs=3,
        block_seconds=0.0,
    )
    # After ten warm-up runs, every fourth run is the first of a block: it pays for cold caches.
    duration = lambda count: 90 * MILLISECOND if count >= 10 and (count - 10) % 4 == 0 else 20 * MILLISECOND  # noqa: E731
    samples = measure({"a": clock.backend("a", duration)}, plan, clock=clock)["a"]
    assert set(samples.samples_ns) == {20 * MILLISECOND}
    assert samples.warmup_ns[10:] == (90 * MILLISECOND,) * (len(samples.samples_ns) // 3)


def test_warm_up_ends_when_the_level_holds():
    clock = FakeClock()
    # Frequency ramps up for 40 runs, then holds.
    backend = clock.backend("a", lambda count: max(100, 400 - 30 * (count // 4)) * MILLISECOND)
    plan = Plan(min_seconds=0.1, min_iterations=3, max_warmup_seconds=100)
    samples = measure({"a": backend}, plan, clock=clock)["a"]
    assert 40 <= len(samples.warmup_ns) <= 60
    assert set(samples.samples_ns) == {100 * MILLISECOND}
    assert not samples.unstable


def test_warm_up_that_never_settles_is_bounded_and_said():
    clock = FakeClock()
    backend = clock.backend("a", lambda count: int(20 * 1.02**count) * MILLISECOND)
    plan = Plan(min_seconds=0.1, min_iterations=3, max_warmup_seconds=2.0, window_seconds=0.0)
    samples = measure({"a": backend}, plan, clock=clock)["a"]
    assert sum(samples.warmup_ns) < 3_000 * MILLISECOND
    assert "warm-up did not settle in 2 s" in samples.unstable


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        # Jitter of ±2 % around one level, as a quiet machine shows.
        (np.tile([98, 99, 100, 101, 102], 40), ""),
        # Five outliers of ten times the median in 200: the p99 tells of them, the middle half does not.
        (np.r_[np.full(100, 100), np.full(5, 1000), np.full(95, 100)], ""),
        # Two modes, as when a second process steals one of two cores half of the time.
        (np.tile([100, 140], 100), "middle half of the samples spreads over 33% of the median"),
        # Thermal throttling: the second half is slower by a fifth.
        (np.r_[np.full(100, 100), np.full(100, 120)], "the second half ran"),
        # Just inside both limits.
        (np.tile([100, 100 + 100 * SPREAD_LIMIT * 0.9], 100), ""),
        (np.r_[np.full(100, 100), np.full(100, 100 + 100 * DRIFT_LIMIT * 0.9)], ""),
        ([5], "fewer than two samples"),
    ],
)
def test_instability(series, reason):
    found = instability(list(series))
    assert reason in found if reason else found == ""


def test_drift_names_its_direction():
    series = [100] * 99 + [112] * 100
    assert instability(series) == "the second half ran 11% slower than the first"
    assert instability(series[::-1]) == "the second half ran 11% faster than the first"


@given(st.integers(1, 10**9), st.integers(2, 200))
def test_constant_series_are_stable_at_any_scale(value, count):
    assert instability([value] * count) == ""


@given(st.lists(st.integers(1, 10**7), min_size=2, max_size=60), st.integers(2, 1000))
def test_instability_does_not_depend_on_the_unit(series, factor):
    assert instability([value * factor for value in series]) == instability(series)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=4),
    st.integers(1, 40),
    st.floats(0.01, 2.0),
)
def test_both_minima_hold_for_every_contender(milliseconds, iterations, seconds):
    clock = FakeClock()
    runs = {number: clock.backend(number, value * MILLISECOND) for number, value in enumerate(milliseconds)}
    for samples in measure(runs, Plan(min_seconds=seconds, min_iterations=iterations), clock=clock).values():
        assert len(samples.samples_ns) >= iterations
        assert sum(samples.samples_ns) >= seconds * 1e9


def test_progress_rises_from_nothing_and_stays_below_one():
    clock, shares = FakeClock(), []
    measure({"a": clock.backend("a", MILLISECOND)}, Plan(min_seconds=1.0), clock=clock, advance=shares.append)
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] < 1


@given(st.integers(1, 200), st.integers(1, 50))
def test_blocks_divide_the_samples(milliseconds, iterations):
    clock = FakeClock()
    run = clock.backend("a", milliseconds * MILLISECOND)
    samples = measure({"a": run}, Plan(min_seconds=0.3, min_iterations=iterations), clock=clock)["a"]
    assert sum(samples.blocks) == len(samples.samples_ns)
    assert min(samples.blocks) >= Plan().block_runs


def test_contenders_have_as_many_rounds():
    clock = FakeClock()
    runs = {"fast": clock.backend("fast", MILLISECOND), "slow": clock.backend("slow", 90 * MILLISECOND)}
    found = measure(runs, Plan(min_seconds=0.5), clock=clock)
    assert len(found["fast"].blocks) == len(found["slow"].blocks)


def test_null_backend_on_the_real_clock():
    found = measure({"a": lambda: None, "b": lambda: None}, QUICK)
    medians = [float(np.median(samples.samples_ns)) for samples in found.values()]
    assert max(medians) < 100_000, "the harness itself costs far less than a tenth of a millisecond"


def test_garbage_collection_rests_while_timing_and_returns_after():
    states = []
    measure({"a": lambda: states.append(gc.isenabled())}, QUICK)
    assert not any(states)
    assert gc.isenabled()


def test_what_a_run_raises_passes_through_with_collection_back_on():
    def broken():
        raise RuntimeError("out of arena")

    with pytest.raises(RuntimeError, match="out of arena"):
        measure({"a": broken}, QUICK)
    assert gc.isenabled()


def test_nothing_to_measure_is_nothing_measured():
    assert measure({}, QUICK) == {}
