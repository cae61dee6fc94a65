"""The test that ends a warm-up, on series of which one knows whether they change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench.measure import Plan
from edgefer.bench.steady import LEVEL, change_point, is_steady

COUNT = Plan().windows
TOLERANCE = Plan().warmup_tolerance
seeds = st.integers(0, 10**6)
levels = st.floats(1e3, 1e9)


def noise(seed: int, share: float = 0.005) -> np.ndarray:
    """Medians of windows around 1, as a quiet machine shows them."""
    return 1 + share * np.random.default_rng(seed).standard_normal(COUNT)


@given(seeds, levels)
def test_a_step_is_found_at_its_place(seed, level):
    series = level * np.r_[np.full(COUNT // 2, 1.2), np.full(COUNT - COUNT // 2, 1.0)] * noise(seed)
    found = change_point(series)
    assert found.position == COUNT // 2
    assert found.p <= LEVEL
    assert not is_steady(series, TOLERANCE)


@given(seeds, levels)
def test_a_slow_drift_is_found(seed, level):
    # 2 % a window: half a window's tolerance each, and 12 % between the halves.
    assert not is_steady(level * 1.02 ** np.arange(COUNT) * noise(seed), TOLERANCE)


@given(seeds, levels, st.integers(0, COUNT - 1), st.floats(2, 1000))
def test_one_outlier_however_wild_is_no_change(seed, level, place, factor):
    series = level * noise(seed)
    series[place] *= factor
    assert is_steady(series, TOLERANCE)


@given(seeds, levels)
def test_a_change_below_the_tolerance_does_not_matter(seed, level):
    series = level * np.r_[np.full(COUNT // 2, 1.02), np.full(COUNT - COUNT // 2, 1.0)] * noise(seed, 0.0005)
    assert change_point(series).p <= LEVEL, "it is seen"
    assert is_steady(series, TOLERANCE)


@given(levels, st.integers(2, 40))
def test_a_constant_series_is_steady(level, count):
    assert change_point([level] * count).p == 1
    assert is_steady([level] * count, 0.0)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30), st.integers(2, 1000))
def test_neither_unit_nor_direction_matters(series, factor):
    found = change_point(series)
    scaled = change_point([value * factor for value in series])
    assert (scaled.position, scaled.p) == (found.position, found.p)
    assert 0 < found.p <= 1


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "standard_exponential"])
def test_series_without_change_are_called_changing_no_more_often_than_the_level(draw):
    """Exact whatever the tails: 600 series, three standard errors above 5 % is 7.7 %."""
    random = np.random.default_rng(1)
    wrong = sum(change_point(getattr(random, draw)(COUNT)).p <= LEVEL for _ in range(600))
    assert wrong <= 46


def test_one_value_cannot_change():
    with pytest.raises(ValueError, match="cannot change"):
        change_point([1.0])
