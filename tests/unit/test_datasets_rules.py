"""Properties: the votes rule and the split by groups."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgefer.datasets.base import Subset
from edgefer.datasets.fingerprints import SAMPLE, sample, sampled
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.scoring import may_have_been_trained_on
from edgefer.datasets.splitting import deal, group, subject
from edgefer.datasets.votes import tally
from edgefer.spec import Step

ballots = st.integers(1, 12).flatmap(lambda n: arrays(np.int64, (n, 10), elements=st.integers(0, 10)))


@given(votes=ballots, seed=st.integers(0, 99), label_set=st.sampled_from(["ferplus-9", "ferplus-8"]))
def test_votes_decide_as_the_rule_says(votes: np.ndarray, seed: int, label_set: str) -> None:
    random, labels = np.random.default_rng(seed), LABEL_SETS[label_set]
    named = random.random(len(votes)) > 0.2
    result = tally(votes, named, labels)
    left_out = np.sum(list(result.dropped.values()), axis=0)
    for row, ballot in enumerate(votes.tolist()):
        winner = ballot.index(max(ballot))
        assert left_out[row] == 1 - (named[row] and sum(ballot) > 0 and winner < len(labels))
        if not left_out[row]:
            assert result.labels[row] == winner == result.soft[row].argmax()
            assert np.isclose(result.soft[row].sum(), 1)
    top = np.sort(votes, axis=1)
    np.testing.assert_array_equal(result.tied, (left_out == 0) & (top[:, -1] == top[:, -2]))


people = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.sampled_from("ABCDEFGH")), st.integers(0, 60)),
    min_size=1,
    max_size=80,
)


@given(rows=people)
def test_no_subject_and_no_image_is_on_two_sides(rows: list[tuple[int, str | None, int]]) -> None:
    labels = np.array([label for label, _, _ in rows])
    subjects, prints = [s for _, s, _ in rows], np.array([p for _, _, p in rows], np.uint64)
    groups = group(subjects, prints)
    parts = deal(labels, groups)
    for key in {s for s in subjects if s}:
        assert len({part for part, s in zip(parts, subjects, strict=True) if s == key}) == 1
    for key in set(prints):
        assert len(set(parts[prints == key])) == 1
    assert len(set(parts)) == min(3, groups.max() + 1)
    np.testing.assert_array_equal(parts, deal(labels, groups))


@given(counts=st.lists(st.integers(10, 60), min_size=2, max_size=5))
def test_single_images_are_stratified(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = deal(labels, np.arange(len(labels)))
    for number, count in enumerate(counts):
        found = np.bincount(parts[labels == number], minlength=3)
        assert np.all(np.abs(found - np.array([0.8, 0.1, 0.1]) * count) <= 1)


def test_subjects_are_read_from_ck_and_jaffe_names() -> None:
    assert subject("S010_004_00000017.png") == "S010"
    assert subject("KA.AN1.39.tiff") == "KA"
    assert subject("portrait_12.png") is None


@pytest.mark.parametrize(
    ("split", "kept", "doubtful"),
    [("grouped", "", True), ("grouped", "test", False), ("grouped", "train", True), ("files", "", False)],
)
def test_of_a_training_that_left_no_sample_only_the_kept_rows_are_a_test(split, kept, doubtful):
    pixels = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3, 1)
    rows = Subset(pixels, np.arange(4), np.eye(4, dtype=np.float32), np.zeros(4, np.bool_))
    hashes = {"train": "other", "test": "another"} | ({kept: rows.sha256} if kept else {})
    lineage = (Step(name="train", config={"split": split, "rows_sha256": hashes}), Step(name="pack"))

    assert may_have_been_trained_on(lineage, rows) == doubtful
    assert not may_have_been_trained_on((), rows)
    member = {"name": "one", "sha256": "", "lineage": msgspec.to_builtins(lineage)}
    assert may_have_been_trained_on((Step(name="vote", config={"members": [member]}),), rows) == doubtful


@pytest.mark.parametrize(
    ("split", "trained", "doubtful"),
    [("files", range(40), False), ("files", range(5, 45), True), ("grouped", range(40), False)],
)
def test_rows_that_a_training_saw_are_no_test_however_and_at_whatever_size_it_was_dealt(
    split, trained, doubtful
):
    prints = np.random.default_rng(0).integers(0, 2**64, 50, np.uint64)
    config = {
        "split": split,
        "rows_sha256": {"test": "at another size"},
        "trained_rows": {"one": sample(prints[list(trained)]), "none of its rows": sample(prints[:0])},
    }
    size, numbers = (10, 3, 3, 1), np.zeros(10, np.int64)
    rows = Subset(
        np.zeros(size, np.uint8), numbers, np.ones((10, 1), np.float32), numbers > 0, numbers, prints[40:]
    )

    assert may_have_been_trained_on((Step(name="train", config=config),), rows) == doubtful
    marked = Subset(rows.pixels, numbers, rows.soft, numbers == 0, numbers, prints[40:])
    assert not may_have_been_trained_on((Step(name="train", config=config),), marked)


def test_a_sample_is_the_same_for_the_same_images_and_holds_no_other() -> None:
    prints = np.random.default_rng(1).integers(0, 2**64, 5000, np.uint64)
    text = sample(prints)
    assert text == sample(np.repeat(prints[::-1], 2))
    assert sampled(prints, text).sum() == SAMPLE == len(text) / 8
    assert not sampled(prints + np.uint64(1), text).any()
