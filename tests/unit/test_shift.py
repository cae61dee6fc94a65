"""Label shift on toy classifiers whose true shares are known."""

from __future__ import annotations

import numpy as np
import pytest

from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import InputError
from edgefer.evaluation.drift import compare, reference_of
from edgefer.evaluation.findings import findings
from edgefer.evaluation.judging import Reply, judge
from edgefer.evaluation.shift import (
    class_shares,
    confusion_shares,
    corrected,
    em_shares,
    expected_confusion,
    fit_scaling,
    macro_f1,
    recall_changes,
)
from edgefer.metrics import holm
from edgefer.spec import LabelSet

NAMES = LabelSet(source="test", names=("calm", "glad", "sad"))
TRAINED = np.array([0.4, 0.5, 0.1])
SECOND = np.array([0.2, 0.1, 0.7])
MEANS = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
ROWS = 20_000
# The share of n rows that a class gets varies by sqrt(p (1 - p) / n) <= 0.0036, the estimates by a few times as much,
# for the classes overlap. A wrong formula misses by tenths.
TOLERANCE = 0.02


def drawn(shares: np.ndarray, seed: int, rows: int = ROWS, means: np.ndarray = MEANS):
    """Rows of Gaussian classes: their class numbers, and the exact probabilities of one who knows ``TRAINED``."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, rows, p=shares)
    points = means[labels] + rng.normal(size=(rows, 2))
    likelihood = np.exp(-((points[:, None] - MEANS) ** 2).sum(axis=2) / 2)
    posterior = likelihood * TRAINED
    return labels, (posterior / posterior.sum(axis=1, keepdims=True)).astype(np.float32)


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    counts = np.zeros((3, 3))
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    return counts


def test_em_finds_the_shares_of_a_set_without_its_labels():
    labels, probabilities = drawn(SECOND, 1)
    estimated = em_shares(probabilities, TRAINED)
    assert estimated == pytest.approx(class_shares(labels, 3), abs=TOLERANCE)
    # What is predicted is no estimate: it leans to the shares that were learned.
    assert np.abs(class_shares(probabilities.argmax(axis=1), 3) - SECOND).max() > 3 * TOLERANCE


def test_em_leaves_shares_alone_that_did_not_move():
    _, probabilities = drawn(TRAINED, 2)
    assert em_shares(probabilities, TRAINED) == pytest.approx(TRAINED, abs=TOLERANCE)


def bent(probabilities: np.ndarray) -> np.ndarray:
    """The same order of rows, said with too little confidence and a leaning to the last class."""
    wrong = probabilities**0.4 * np.array([1.0, 1.0, 2.0])
    return (wrong / wrong.sum(axis=1, keepdims=True)).astype(np.float32)


def test_scaling_makes_em_work_on_probabilities_that_are_not_honest():
    known, held_out = drawn(TRAINED, 15)
    labels, probabilities = drawn(SECOND, 16)
    calibrated = fit_scaling(bent(held_out), known).apply(bent(probabilities))
    assert calibrated == pytest.approx(probabilities, abs=0.05)
    assert em_shares(calibrated, TRAINED) == pytest.approx(class_shares(labels, 3), abs=TOLERANCE)
    astray = em_shares(bent(probabilities), TRAINED)
    assert np.abs(astray - SECOND).max() > 3 * TOLERANCE


def test_scaling_stays_finite_where_a_class_has_no_rows_or_all_are_right():
    sure = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0]], np.float32)
    scaled = fit_scaling(sure, np.array([0, 1, 0])).apply(sure)
    assert np.isfinite(scaled).all()
    assert (scaled.argmax(axis=1) == [0, 1, 0]).all()


def test_confusions_find_the_shares_too():
    reference = confusion(*drawn(TRAINED, 3))
    labels, probabilities = drawn(SECOND, 4)
    predicted = class_shares(probabilities.argmax(axis=1), 3)
    assert confusion_shares(reference, predicted) == pytest.approx(class_shares(labels, 3), abs=TOLERANCE)


def test_shares_from_confusions_are_never_negative():
    reference = np.array([[9.0, 1, 0], [1, 9, 0], [0, 1, 9]])
    found = confusion_shares(reference, np.array([0.0, 1.0, 0.0]))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_a_class_that_training_never_had_leaves_numbers_that_are_numbers():
    _, probabilities = drawn(SECOND, 5, rows=50)
    shares = em_shares(probabilities, np.array([0.5, 0.5, 0.0]))
    assert np.isfinite(shares).all()
    assert np.isfinite(corrected(probabilities, np.array([0.5, 0.5, 0.0]), shares)).all()
    assert confusion_shares(np.diag([5.0, 5.0, 0.0]), np.array([0.5, 0.25, 0.25]))[2] == 0


def test_corrected_answers_are_more_often_right():
    labels, probabilities = drawn(SECOND, 6)
    better = corrected(probabilities, TRAINED, em_shares(probabilities, TRAINED))
    assert better.sum(axis=1) == pytest.approx(np.ones(ROWS), abs=1e-5)
    plain_right, right = (np.mean(p.argmax(axis=1) == labels) for p in (probabilities, better))
    assert right > plain_right + 0.05


def test_expected_confusion_is_what_a_pure_label_shift_gives():
    reference, second = confusion(*drawn(TRAINED, 7)), confusion(*drawn(SECOND, 8))
    expected = expected_confusion(reference, second.sum(axis=1) / ROWS, ROWS)
    assert expected / ROWS == pytest.approx(second / ROWS, abs=TOLERANCE)
    assert macro_f1(expected) == pytest.approx(macro_f1(second), abs=TOLERANCE)


def test_macro_f1_of_a_worked_example():
    # F1 of the classes: 2*3/(4+4), 2*1/(2+2), and 0 of a class that is neither there nor predicted.
    assert macro_f1(np.array([[3.0, 1, 0], [1, 1, 0], [0, 0, 0]])) == pytest.approx((0.75 + 0.5) / 3)


def test_recalls_that_stay_are_not_called_changed_and_one_that_falls_is():
    reference, second = confusion(*drawn(TRAINED, 9, 2000)), confusion(*drawn(SECOND, 10, 2000))
    assert min(change.p for change in recall_changes(reference, second, NAMES.names)) > 0.05
    moved = MEANS.copy()
    moved[2] = [1.0, 0.5]
    other = confusion(*drawn(SECOND, 11, 2000, moved))
    changes = {change.name: change for change in recall_changes(reference, other, NAMES.names)}
    assert changes["sad"].p < 0.001
    assert min(changes["calm"].p, changes["glad"].p) > 0.05
    assert changes["sad"].second < changes["sad"].reference
    assert changes["sad"].taken_for in ("calm", "glad")


def test_a_class_without_rows_is_not_tested_nor_counted_by_holm():
    reference, second = np.diag([50.0, 50, 0]), np.array([[50.0, 0, 0], [6, 44, 0], [0, 0, 9]])
    _, glad, sad = recall_changes(reference, second, NAMES.names)
    assert (sad.reference, sad.p, sad.taken_for) == (None, None, "")
    # Fisher's p of 50/0 against 44/6 is 0.02669; twice that for two tested classes.
    assert glad.p == pytest.approx(2 * 0.02669, abs=1e-4)
    assert glad.taken_for == "calm"


def test_holm_of_a_worked_example():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def subset(labels: np.ndarray) -> Subset:
    pixels = np.arange(len(labels), dtype=np.uint16).view(np.uint8).reshape(-1, 1, 2, 1)
    return Subset(
        pixels, labels.astype(np.int64), np.eye(3, dtype=np.float32)[labels], np.zeros(len(labels), bool)
    )


def compared(means: np.ndarray):
    """Findings of a set whose classes lie at ``means``, against one where they lie at ``MEANS``."""
    held_out, usual = drawn(TRAINED, 12, 4000)
    second, answers = drawn(SECOND, 13, 4000, means)
    parts = {"train": subset(drawn(TRAINED, 14, 4000)[0]), "validation": subset(held_out)}
    reference = reference_of(Dataset("first", NAMES, parts))
    reply, rows = Reply("model", "none", answers), subset(second)
    shift = compare(reference, Reply("model", "none", usual), reply, rows, NAMES)
    return shift, findings(shift, judge(reply, rows, NAMES).full)


def test_pure_label_shift_is_called_that_and_correcting_it_gains():
    shift, sentences = compared(MEANS)
    text = "\n".join(sentences)
    assert "sad rose from 10" in text
    assert "glad fell from 4" in text or "glad fell from 5" in text
    assert "label shift alone explains" in text
    assert "recall fell" not in text
    assert shift.gain.accuracy > 5
    assert shift.gain.p < 0.001
    assert shift.corrected.score.accuracy > shift.expected_accuracy


def test_faces_that_changed_are_told_from_shares_that_did():
    moved = MEANS.copy()
    moved[2] = [1.0, 0.5]
    shift, sentences = compared(moved)
    text = "\n".join(sentences)
    assert "sad: recall fell from" in text
    assert "faces of sad differ (covariate shift)" in text
    assert shift.expected_accuracy == pytest.approx(compared(MEANS)[0].expected_accuracy)


def test_a_reference_needs_rows_that_training_did_not_see():
    with pytest.raises(InputError, match="no rows that training did not see"):
        reference_of(Dataset("first", NAMES, {"train": subset(np.array([0, 1, 2]))}))
