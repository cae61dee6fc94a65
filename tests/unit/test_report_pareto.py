from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.report.pareto import dominates, pareto_front

# Few values, so that ties are common.
NUMBER = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])
POINTS = st.lists(st.tuples(NUMBER, NUMBER), max_size=25)


@given(POINTS)
def test_the_front_is_not_dominated_and_all_else_is(points):
    front = set(pareto_front(points))
    for index, point in enumerate(points):
        rivals = [points[other] for other in front if other != index]
        assert (index in front) != any(dominates(rival, point) for rival in rivals)


@given(POINTS)
def test_the_front_ascends_in_cost_and_worth(points):
    front = [points[index] for index in pareto_front(points)]
    assert front == sorted(front)
    assert len(set(pareto_front(points))) == len(front)


@given(POINTS.filter(bool))
def test_the_cheapest_and_the_best_are_on_it(points):
    front = [points[index] for index in pareto_front(points)]
    assert min(cost for cost, _ in points) == front[0][0]
    assert max(worth for _, worth in points) == front[-1][1]


def test_a_worked_example():
    assert pareto_front([(4, 0.9), (1, 0.7), (2, 0.6), (2, 0.8), (2, 0.8), (5, 0.9)]) == (1, 3, 4, 0)


def test_no_points_have_no_front():
    assert pareto_front([]) == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_must_be_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        pareto_front([(1, 1), (bad, 1)])
