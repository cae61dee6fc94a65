"""A budget in latency is met by a plan that was measured, and few are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.compression.base import Pace
from edgefer.compression.latency_budget import CLOSE, MOST, search, told
from edgefer.errors import SettingError


def sizes_of(steps):
    """A row of plans that lose less and less with each step, as channels do."""
    return [0.05 + 0.95 * 0.99**step for step in range(steps + 1)]


def measuring(ratios, asked):
    def measure(cuts):
        asked.append(cuts)
        return Pace(ratio=ratios[cuts], low=ratios[cuts] - 0.01, high=ratios[cuts] + 0.01)

    return measure


@given(
    steps=st.integers(1, 400),
    floor=st.floats(0, 0.8),
    bend=st.floats(0.4, 2.5),
    target=st.floats(0.02, 0.98),
)
def test_the_chosen_plan_was_measured_within_the_budget_and_few_were(steps, floor, bend, target):
    """Latency has a part that no cut saves, and bends: it follows arithmetic less at one end than at the other."""
    sizes, asked = sizes_of(steps), []
    ratios = [floor + (1 - floor) * size**bend for size in sizes]
    if ratios[-1] > target:
        with pytest.raises(SettingError, match="the smallest that was measured is"):
            search(sizes, target, measuring(ratios, asked))
        assert asked == [steps]
        return
    tried = search(sizes, target, measuring(ratios, asked))
    chosen = tried[-1]
    assert chosen.pace.ratio == ratios[chosen.cuts] <= target
    assert sorted(one.cuts for one in tried) == sorted(asked)
    assert len(set(asked)) == len(asked) <= MOST
    # Nothing is given away: the budget is met closely, or the plan before is too slow.
    assert ratios[chosen.cuts] >= target - CLOSE or ratios[chosen.cuts - 1] > target


def test_noise_of_a_few_percent_does_not_lead_the_search_astray():
    sizes = sizes_of(300)
    ratios = [0.4 + 0.6 * size + (0.02 if step % 2 else -0.02) for step, size in enumerate(sizes)]
    chosen = search(sizes, 0.7, measuring(ratios, []))[-1]
    assert 0.65 < chosen.pace.ratio <= 0.7


def test_a_budget_that_no_plan_reaches_names_the_smallest_measured_share():
    with pytest.raises(
        SettingError, match=r"latency: no plan takes as little as 0.3 of the time; .* is 0.412;"
    ) as it:
        search([1.0, 0.5, 0.2], 0.3, measuring([1.0, 0.7, 0.4111], []))
    assert it.value.key == "latency"
    assert "stage blocks" in it.value.hint


def test_the_findings_tell_every_measured_plan():
    tried = search([1.0, 0.8, 0.5, 0.2], 0.6, measuring([1.0, 0.8, 0.59, 0.4], []))
    found = told(tried, 8)
    assert (found["batch"], found["ratio"]) == (8, 0.59)
    assert {"macs": 0.2, "ratio": 0.4, "interval": [0.39, 0.41], "unstable": ""} in found["plans"]
    assert found["plans"][-1]["macs"] == 0.5
    unsure = told(search([1.0, 0.2], 0.6, lambda _: Pace(ratio=0.5, low=None, high=None, unstable="busy")), 1)
    assert unsure["plans"] == [{"macs": 0.2, "ratio": 0.5, "interval": None, "unstable": "busy"}]
