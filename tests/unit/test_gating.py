"""The gate's statistics on classifiers whose true difference is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.gating.classes import class_changes
from edgefer.gating.record import Interval, Limits
from edgefer.gating.resampling import Pair, drops
from edgefer.gating.verdict import decide, rows_needed
from edgefer.metrics import calibration_error, score
from edgefer.spec import LabelSet

LABELS = LabelSet(source="test", names=("calm", "glad", "sad"))
TRUE, SAID = st.integers(0, 2), st.integers(0, 2)


def sure_of(classes: np.ndarray, confidence: float = 0.8, number: int = 3) -> np.ndarray:
    """Probabilities that name ``classes`` with one confidence."""
    others = (1 - confidence) / (number - 1)
    return np.where(np.eye(number, dtype=bool)[classes], confidence, others).astype(np.float32)


def pair_of(labels, before, after) -> Pair:
    return Pair(np.asarray(labels), sure_of(np.asarray(before)), sure_of(np.asarray(after)))


def weighted(labels, answers) -> float:
    return score(np.asarray(labels), np.asarray(answers), LABELS, rows="").weighted_f1


@given(st.lists(st.tuples(TRUE, SAID, SAID), min_size=1, max_size=40))
@settings(deadline=None, max_examples=25)
def test_drops_are_differences_of_scores_and_lie_within_their_intervals(rows):
    labels, before, after = np.asarray(rows).T
    pair = pair_of(labels, before, after)
    found = drops(pair)
    one, two = (score(labels, each, LABELS, rows="") for each in (before, after))
    assert found.weighted.value == pytest.approx(100 * (one.weighted_f1 - two.weighted_f1))
    assert found.macro.value == pytest.approx(100 * (one.macro_f1 - two.macro_f1))
    for each, a, b in zip(found.classes, one.per_class, two.per_class, strict=True):
        assert each.value == pytest.approx(100 * (a.f1 - b.f1))
    errors = [calibration_error(each, labels) for each in (pair.before, pair.after)]
    assert found.calibration.value == pytest.approx(100 * (errors[1] - errors[0]))
    for each in (found.weighted, found.macro, *found.classes):
        assert -100 <= each.low <= each.value <= each.high <= 100


@given(st.lists(st.tuples(TRUE, SAID, SAID), min_size=1, max_size=40))
@settings(deadline=None, max_examples=10)
def test_the_other_way_round_a_loss_is_a_gain(rows):
    labels, before, after = np.asarray(rows).T
    one, two = drops(pair_of(labels, before, after)), drops(pair_of(labels, after, before))
    for there, back in zip((one.weighted, *one.classes), (two.weighted, *two.classes), strict=True):
        assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def drawn(rows: int, random: np.random.Generator, lost: float, won: float) -> Pair:
    """A baseline that is right four times in five; the artifact loses and wins that share of its rows."""
    labels = random.choice(3, rows, p=(0.6, 0.3, 0.1))
    wrong = (labels + random.integers(1, 3, rows)) % 3
    before = np.where(random.uniform(size=rows) < 0.8, labels, wrong)
    changed = random.uniform(size=rows)
    after = np.where(changed < lost, wrong, np.where(changed > 1 - won, labels, before))
    return pair_of(labels, before, after)


def test_intervals_hold_the_true_drop_as_often_as_they_say():
    crowd = drawn(400_000, np.random.default_rng(1), 0.03, 0.02)
    truth = 100 * (
        weighted(crowd.labels, crowd.before.argmax(axis=1))
        - weighted(crowd.labels, crowd.after.argmax(axis=1))
    )
    random = np.random.default_rng(2)
    held = 0
    for _ in range(60):
        found = drops(drawn(300, random, 0.03, 0.02)).weighted
        held += found.low <= truth <= found.high
    # 95 % of 60 is 57 with a standard deviation of 1.7; the adjustment for few changes makes it no less.
    assert held >= 52


def test_rows_that_all_agree_prove_little_where_they_are_few():
    labels = np.arange(150) % 3
    few, many = (drops(pair_of(*[np.tile(labels, times)] * 3)).weighted for times in (1, 100))
    assert few.value == many.value == 0
    assert few.high > 1.5  # a true loss of 1.5 points leaves no trace in 150 rows one time in ten
    assert many.high < 0.05


def test_resampling_is_the_same_every_time():
    pair = drawn(300, np.random.default_rng(0), 0.05, 0.02)
    assert drops(pair) == drops(pair)
    assert drops(pair, seed=1) != drops(pair)


def judged(pair: Pair, *, max_drop: float = 100.0, **floors: float):
    found = drops(pair)
    classes = class_changes(pair, found.classes, LABELS.names, floors)
    limits = Limits(max_drop=max_drop, floors=floors)
    return decide(limits, found.weighted, classes, len(pair)), {each.name: each for each in classes}


def with_sad(hits: int, left: int, others: int = 300) -> Pair:
    """Besides rows that both get right, 40 sad ones: the baseline finds ``hits`` of them, the artifact ``left``."""
    labels = np.r_[np.arange(others) % 2, np.full(40, 2)]
    before, after = (np.r_[np.arange(others) % 2, np.repeat([2, 0], [n, 40 - n])] for n in (hits, left))
    return pair_of(labels, before, after)


@pytest.mark.parametrize(
    ("hits", "left", "standing", "word"),
    [
        (20, 20, "kept", "pass"),
        (20, 0, "lost", "fail"),
        (30, 8, "lost", "fail"),
        (20, 10, "kept", "pass"),  # half of the hits are left
        (3, 0, "undecided", "underpowered"),
        (0, 0, "kept", "pass"),  # the baseline never knew it
    ],
)
def test_a_class_is_lost_when_most_hits_are_gone_and_chance_does_not_explain_it(hits, left, standing, word):
    verdict, classes = judged(with_sad(hits, left))
    assert classes["sad"].standing == standing
    assert verdict.word == word
    assert classes["calm"].standing == "kept"
    if standing == "lost":
        assert verdict.reasons[0].startswith("class sad is lost: of its 40 rows")
    if word == "underpowered":
        assert verdict.needed == 1134  # in 340 rows 3 hits are gone; 10 would be certain


@pytest.mark.parametrize(
    ("left", "floor", "word"),
    [(20, 0.6, "pass"), (20, 0.7, "underpowered"), (20, 0.9, "fail"), (0, 0.3, "fail")],
)
def test_floors_fail_where_f1_is_surely_below(left, floor, word):
    # 20 of 40 found and nothing else called sad: F1 is 2/3.
    verdict, classes = judged(with_sad(left, left), sad=floor)
    assert verdict.word == word
    assert classes["calm"].floor is None
    assert (verdict.needed is not None) == (word == "underpowered")


def test_a_class_without_rows_is_neither_kept_nor_lost():
    pair = pair_of([0, 1] * 50, [0, 1] * 50, [0, 1] * 50)
    verdict, classes = judged(pair)
    assert classes["sad"].standing == "no rows"
    assert verdict.word == "pass"
    asked, _ = judged(pair, sad=0.5)
    assert asked.word == "underpowered"
    assert asked.reasons[0] == "class sad has a floor and no rows to hold it against"


def test_the_drop_decides_by_its_interval_alone():
    def word(low, value, high):
        return decide(Limits(max_drop=0.5, floors={}), Interval(value=value, low=low, high=high), (), 1000)

    assert word(-0.4, 0.0, 0.5).word == "pass"
    assert word(0.51, 0.9, 1.3).word == "fail"
    undecided = word(-0.6, 0.0, 0.6)
    assert undecided.word == "underpowered"
    assert undecided.needed == 1440  # a width of 0.6 has to become 0.5: 1000 (0.6 / 0.5)^2
    assert word(0.1, 0.5, 0.9).needed is None


@given(st.floats(-3, 3), st.floats(0.01, 3), st.integers(10, 5000))
def test_with_the_rows_that_are_asked_for_the_limit_lies_outside(value, width, rows):
    limit = 0.5
    needed = rows_needed(limit, Interval(value=value, low=value - width, high=value + width), rows)
    most = 1_000_000 if needed is None else max(needed, 1)
    shrunk = width * np.sqrt(rows / most)
    assert (shrunk <= abs(limit - value) * (1 + 1e-6)) == (needed is not None)
    assert needed is None or needed > rows


def test_an_artifact_that_is_only_less_honest_shows_in_calibration():
    labels = np.arange(600) % 3
    said = np.where(np.arange(600) % 5 == 0, (labels + 1) % 3, labels)  # right four times in five
    honest, boastful = sure_of(said, 0.8), sure_of(said, 0.99)
    found = drops(Pair(labels, honest, boastful))
    assert found.weighted.value == 0
    assert found.calibration.value == pytest.approx(19, abs=0.1)
    assert found.calibration.low > 10


def test_a_huge_true_loss_always_fails():
    verdict, _ = judged(drawn(1000, np.random.default_rng(3), 0.2, 0.0), max_drop=0.5)
    assert verdict.word == "fail"
    assert "more than the 0.5 allowed" in " ".join(verdict.reasons)
    assert verdict.needed is None
