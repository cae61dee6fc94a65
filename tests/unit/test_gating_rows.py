"""Which rows two networks share, and what they may not share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import EdgeferError, InputError
from edgefer.gating.contender import Contender, answers
from edgefer.gating.rows import Choice, shared_rows
from edgefer.spec import InputSpec, LabelSet

NAMES = LabelSet(source="test", names=("calm", "glad", "sad"))
ROWS = 30


def contender(size: int = 4, labels: LabelSet = NAMES, answer=None) -> Contender:
    return Contender(
        path=Path(f"{size}.onnx"),
        name="net",
        format="onnx-fp32",
        sha256=str(size),
        bytes=1,
        input=InputSpec(height=size, width=size, channels=1, range=(0.0, 1.0)),
        labels=labels,
        lineage=(),
        executed_on="here",
        answer=answer or (lambda pixels: np.full((len(pixels), 3), 1 / 3, np.float32)),
    )


def faces(size: int, *, seed: int = 0, leaked: int = 6, count: int = ROWS) -> Dataset:
    """The same faces at any size: what tells them apart is kept beside the pixels."""
    random = np.random.default_rng(seed)
    prints = random.integers(1 << 40, size=count).astype(np.uint64)
    pixels = np.broadcast_to((prints % 256).astype(np.uint8)[:, None, None, None], (count, size, size, 1))
    labels = np.arange(count) % 3
    test = Subset(
        pixels, labels, np.eye(3, dtype=np.float32)[labels], np.arange(count) < leaked, prints=prints
    )
    return Dataset("faces", NAMES, {"test": test})


def read(contender: Contender) -> Dataset:
    return faces(contender.input.height)


def test_two_sizes_of_the_same_faces_are_the_same_rows():
    found = shared_rows(contender(8), contender(4), read, Choice())
    assert found.before.pixels.shape == (ROWS - 6, 8, 8, 1)
    assert found.after.pixels.shape == (ROWS - 6, 4, 4, 1)
    assert np.array_equal(found.before.labels, found.after.labels)
    assert np.array_equal(found.numbers, np.arange(6, ROWS))
    assert found.left_out == 6


def test_a_draw_is_the_same_every_time_and_in_order():
    one, two = (shared_rows(contender(8), contender(4), read, Choice(most=10)).numbers for _ in range(2))
    assert np.array_equal(one, two)
    assert len(np.unique(one)) == 10
    assert (np.diff(one) > 0).all()
    assert one.min() >= 6
    assert len(shared_rows(contender(8), contender(4), read, Choice(most=10_000)).numbers) == ROWS - 6


def refusal(baseline, artifact, read, choice=None) -> str:
    with pytest.raises(InputError) as caught:
        shared_rows(baseline, artifact, read, choice or Choice())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_faces_are_refused():
    message = refusal(contender(8), contender(4), lambda each: faces(4, seed=each.input.height))
    assert "4.onnx takes 4x4 gray images, 8.onnx 8x8 gray: they do not see the same rows" in message
    fewer = refusal(contender(8), contender(4), lambda each: faces(4, count=3 * each.input.height))
    assert "do not see the same rows" in fewer


def test_classes_in_another_order_are_refused():
    other = LabelSet(source="test", names=("glad", "calm", "sad"))
    assert "same classes in the same order" in refusal(contender(8, other), contender(4), read)
    assert "same label set" in refusal(contender(8, other), contender(4, other), read)


def test_where_every_row_leaked_none_is_left_unless_asked_for():
    def leaked(each):
        return faces(each.input.height, leaked=ROWS)

    assert "--include-leaked" in refusal(contender(8), contender(4), leaked)
    found = shared_rows(contender(8), contender(4), leaked, Choice(leaked=True))
    assert (len(found.numbers), found.left_out) == (ROWS, 0)
    few = shared_rows(contender(8), contender(4), leaked, Choice(leaked=True, most=10))
    assert (len(few.numbers), few.left_out) == (10, 0)


def test_an_answer_that_is_no_number_is_no_class():
    broken = contender(answer=lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))
    with pytest.raises(EdgeferError, match=r"4\.onnx: answers NaN for 5 of 5 images"):
        answers(broken, np.zeros((5, 4, 4, 1), np.uint8))
