"""The drawn faces are always the same, and are what a data set should be."""

from __future__ import annotations

import sys

import numpy as np
import PIL
import pytest

from edgefer.datasets.loading import load
from edgefer.datasets.merging import merge
from edgefer.datasets.synthetic import COUNTS, generate

SHA256 = {
    "train": "d09c1d2369fdf6d76c517e2e3c858391dc0772ccf54419bbefb9d62a849eadf1",
    "validation": "ac31bad70b352440137b827b8364b047915c32c6ab6024b4da4b8554180770c8",
    "test": "f1729ee067bd3c9abad18d2963a5292dd3d5c569885d456cedafd231d050538e",
}


def test_two_drawings_are_equal() -> None:
    again = merge([generate("ferplus-9", (48, 48), 1)])
    for name, rows in load("synthetic").splits.items():
        assert rows.sha256 == again.split(name).sha256


@pytest.mark.skipif(
    sys.platform != "linux" or not PIL.__version__.startswith("13."),
    reason="polygons may differ by a pixel with another Pillow or another C library",
)
def test_the_rows_are_those_of_the_published_numbers() -> None:
    assert {name: rows.sha256 for name, rows in load("synthetic").splits.items()} == SHA256


def test_it_has_all_expressions_in_all_splits_and_says_that_it_is_synthetic() -> None:
    dataset = load("synthetic")
    assert dataset.synthetic
    assert dataset.labels.source == "ferplus-9"
    assert tuple(len(rows) for rows in dataset.splits.values()) == COUNTS
    for rows in dataset.splits.values():
        assert (np.bincount(rows.labels, minlength=9) > 0).all()
        np.testing.assert_allclose(rows.soft.sum(axis=1), 1, rtol=1e-6)
    assert dataset.split("test").leaked.any()


def test_without_the_unknown_class_those_rows_are_dropped() -> None:
    dataset = load("synthetic", "ferplus-8")
    assert dataset.labels.names[-1] == "contempt"
    assert dataset.dropped["test"]["unknown"] > 0


def test_any_size_and_colour() -> None:
    assert load("synthetic", size=(20, 30), channels=3).split("test").pixels.shape == (COUNTS[2], 20, 30, 3)
