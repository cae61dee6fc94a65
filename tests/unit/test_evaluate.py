"""Judging backbones: votes, changed copies, source sets, and what is refused before anything is asked."""

from __future__ import annotations

from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest

from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import InputError
from edgefer.evaluation.record import Evaluation, write_evaluation
from edgefer.evaluation.rows import part_of
from edgefer.evaluation.run import Plan, evaluate
from edgefer.evaluation.sets import score_sets
from edgefer.metrics import calibration_error, mcnemar_p
from edgefer.spec import InputSpec, LabelSet
from edgefer.training.test_time import averaged, copies

LABELS = LabelSet(source="sides", names=("left", "right", "dark"))
SPEC = InputSpec(height=8, width=8, channels=1, range=(0.0, 1.0))


def network(name: str, kernel: np.ndarray, bias: np.ndarray) -> Backbone:
    """Three classes from the brightness of the left half, the right half and the whole: ``kernel`` (2, 3)."""
    image = keras.Input((8, 8, 1))
    halves = keras.layers.Flatten()(keras.layers.AveragePooling2D((8, 4))(image))
    dense = keras.layers.Dense(3, "softmax")
    model = keras.Model(image, dense(halves))
    dense.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return Backbone(model, SPEC, LABELS, (), name, f"hash of {name}")


GOOD = np.array([[8.0, -8, -4], [-8, 8, -4]])
BIAS = np.array([0.0, 0, 3])


@pytest.fixture(scope="module")
def good() -> Backbone:
    return network("good", GOOD, BIAS)


@pytest.fixture(scope="module")
def sided() -> Backbone:
    """Leans to the left, so that an image and its mirror image are answered differently."""
    return network("sided", GOOD, BIAS + np.array([3.0, 0, 0]))


def rows(count: int, seed: int, shares: tuple[float, ...] = (0.4, 0.4, 0.2)) -> Subset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=shares)
    pixels = rng.integers(0, 100, (count, 8, 8, 1))
    left, right = rng.integers(0, 60, (2, count, 1, 1, 1))
    pixels[:, :, :4] += left + 35 * (labels == 0)[:, None, None, None]
    pixels[:, :, 4:] += right + 35 * (labels == 1)[:, None, None, None]
    pixels = (pixels * np.where(labels == 2, 0.5, 1.0)[:, None, None, None]).astype(np.uint8)
    leaked = np.arange(count) % 5 == 0
    return Subset(pixels, labels, np.eye(3, dtype=np.float32)[labels], leaked, np.arange(count) % 2)


def dataset(**parts: Subset) -> Dataset:
    return Dataset(
        "toy", LABELS, parts or {"train": rows(80, 1), "validation": rows(300, 2), "test": rows(300, 3)}
    )


def test_all_scores_are_given_on_all_rows_and_without_leaked_ones(good: Backbone):
    whole = dataset()
    done = evaluate(Ensemble((good,)), Plan(lambda _: whole))
    (judged,) = done.judged
    test = whole.split("test")
    assert (judged.full.score.n, judged.clean.score.n) == (300, 240)
    answers = probabilities(good, test.pixels)
    kept = ~test.leaked
    assert judged.clean.score.accuracy == pytest.approx(np.mean((answers.argmax(1) == test.labels)[kept]))
    assert judged.clean.calibration_error == pytest.approx(
        calibration_error(answers[kept], test.labels[kept])
    )
    assert judged.full.score.rows_sha256 == test.sha256
    assert done.gains == ()
    assert 0.6 < judged.full.score.accuracy < 1  # a toy that gets all or nothing right would test little


def test_a_vote_stands_beside_its_members_with_its_gain_over_the_best(good: Backbone, sided: Backbone):
    whole = dataset()
    done = evaluate(Ensemble((sided, good)), Plan(lambda _: whole))
    assert [judged.name for judged in done.judged] == ["sided", "good", "vote"]
    (gain,) = done.gains
    assert (gain.name, gain.over) == ("vote", "good")
    test = whole.split("test")
    answers = [probabilities(member, test.pixels) for member in (sided, good)]
    vote = np.mean(answers, axis=0).argmax(axis=1) == test.labels
    best = answers[1].argmax(axis=1) == test.labels
    assert gain.accuracy == pytest.approx(100 * (vote.mean() - best.mean()))
    assert gain.p == pytest.approx(mcnemar_p(vote, best))


def test_a_mirrored_copy_takes_a_leaning_away(sided: Backbone):
    pixels = rows(40, 4).pixels
    both = averaged(sided, pixels, "flip")
    assert both == pytest.approx(averaged(sided, pixels[:, :, ::-1], "flip"), abs=1e-6)
    assert np.abs(averaged(sided, pixels, "none") - averaged(sided, pixels[:, :, ::-1], "none")).max() > 0.1
    whole = dataset()
    done = evaluate(Ensemble((sided,)), Plan(lambda _: whole, tta="flip"))
    plain, flipped = done.judged
    assert (plain.tta, flipped.tta) == ("none", "flip")
    (gain,) = done.gains
    assert (gain.name, gain.over) == ("sided, flip", "sided")
    assert gain.accuracy == pytest.approx(100 * (flipped.full.score.accuracy - plain.full.score.accuracy))


def test_s1_seven_is_the_image_its_mirror_and_seven_others_always_the_same():
    pixels = rows(6, 5).pixels
    made = list(copies(pixels, "s1-seven"))
    assert len(made) == 9
    assert (made[0] == pixels).all()
    assert (made[1] == pixels[:, :, ::-1]).all()
    assert len({copy.tobytes() for copy in made}) == 9
    assert all((one == two).all() for one, two in zip(made, copies(pixels, "s1-seven"), strict=True))


def test_averaging_does_not_depend_on_how_many_rows_are_asked_at_once(
    sided: Backbone, monkeypatch: pytest.MonkeyPatch
):
    pixels = rows(40, 6).pixels
    at_once = averaged(sided, pixels, "s1-seven")
    assert averaged(sided, pixels[:40], "s1-seven") == pytest.approx(at_once)
    monkeypatch.setattr("edgefer.training.test_time.ROWS_AT_ONCE", 16)
    in_parts = averaged(sided, pixels, "flip")
    monkeypatch.undo()
    assert in_parts == pytest.approx(averaged(sided, pixels, "flip"))


def test_all_rows_are_the_splits_one_after_the_other():
    whole = dataset()
    every = part_of(whole, "all")
    assert len(every) == 680
    assert (every.labels[:80] == whole.split("train").labels).all()
    assert not np.array_equal(every.labels[80:380], every.labels[380:])
    with pytest.raises(InputError, match="no test rows"):
        part_of(dataset(train=rows(5, 7)), "test")


def merged(subset: Subset) -> Dataset:
    return Dataset("toy", LABELS, {"test": subset}, sets=("one", "two", "three"))


def test_a_set_with_a_swapped_label_is_pointed_at(good: Backbone):
    subset = rows(300, 8)
    swapped = subset.labels.copy()
    second = subset.sources == 1
    swapped[second & (subset.labels == 0)] = 1
    swapped[second & (subset.labels == 1)] = 0
    wrong = Subset(subset.pixels, swapped, subset.soft, subset.leaked, subset.sources)
    done = evaluate(Ensemble((good,)), Plan(lambda _: merged(wrong), by_set=True))
    one, two = done.sets  # nothing of the third is among these rows
    assert (one.name, two.name) == ("one", "two")
    assert [each.suspicious for each in one.classes] == [False, False, False]
    assert [each.suspicious for each in two.classes] == [True, True, False]
    assert two.classes[0].prediction == "right"
    assert one.score.n + two.score.n == 300
    assert one.score.accuracy > two.score.accuracy + 0.3


def test_half_right_is_not_suspicious_and_absent_classes_say_nothing():
    labels = np.array([0, 0, 1, 1, 1])
    subset = Subset(
        np.zeros((5, 8, 8, 1), np.uint8), labels, np.eye(3, dtype=np.float32)[labels], np.zeros(5, bool)
    )
    whole = Dataset("toy", LABELS, {"test": subset}, sets=("one", "two"))
    (scored,) = score_sets(whole, subset, np.array([1, 0, 2, 2, 1]))
    left, right, dark = scored.classes
    assert (left.recall, left.prediction, left.suspicious) == (0.5, "left", False)
    assert (right.prediction, right.suspicious) == ("dark", True)
    assert (dark.rows, dark.recall, dark.prediction, dark.suspicious) == (0, None, None, False)


def test_what_cannot_be_answered_is_refused_before_a_model_is_asked(good: Backbone):
    asked: list[str] = []
    ensemble, whole = Ensemble((good,)), dataset()
    others = Dataset("others", LabelSet(source="x", names=("a", "b", "c")), whole.splits)
    unsplit = dataset(train=rows(9, 9))
    for plan, message in (
        (Plan(lambda _: whole, by_set=True), "toy is one set"),
        (Plan(lambda _: others), "its classes are left, right, dark; others has a, b, c"),
        (Plan(lambda _: whole, reference=lambda _: others), "others has a, b, c"),
        (Plan(lambda _: whole, reference=lambda _: unsplit), "no rows that training did not see"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(ensemble, plan, asked.append)
    assert not asked


def test_a_second_set_is_held_against_the_first(good: Backbone):
    second = dataset(test=rows(300, 10, (0.1, 0.3, 0.6)))
    whole = dataset()
    asked: list[str] = []
    plan = Plan(lambda _: second, reference=lambda _: whole)
    done = evaluate(Ensemble((good,)), plan, asked.append)
    assert done.shift is not None
    assert len(asked) == plan.rounds == 2
    assert done.shift.reference_split == "validation"
    assert done.shift.before.score.n == 240  # without leaked rows
    dark = done.shift.shares[2]
    assert dark.second == pytest.approx(np.mean(second.split("test").labels == 2))
    assert dark.reference == pytest.approx(np.mean(whole.split("train").labels == 2))
    assert any(sentence.startswith("dark rose from ") for sentence in done.findings)


def test_an_evaluation_survives_its_file(good: Backbone, sided: Backbone, tmp_path: Path):
    whole = dataset()
    plan = Plan(lambda _: whole, tta="flip", reference=lambda _: whole)
    done = evaluate(Ensemble((good, sided)), plan)
    write_evaluation(tmp_path / "new" / "evaluation.json", done)
    text = (tmp_path / "new" / "evaluation.json").read_bytes()
    assert msgspec.json.decode(text, type=Evaluation) == done
