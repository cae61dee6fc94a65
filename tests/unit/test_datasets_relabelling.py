"""Doubtful labels: found by a model, written down, applied with strict checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgefer.datasets.base import Dataset
from edgefer.datasets.fingerprints import as_text
from edgefer.datasets.inspection import inspect
from edgefer.datasets.loading import load, load_for
from edgefer.datasets.relabelling import clean, disagreements, relabelled, write_changes
from edgefer.errors import InputError
from edgefer.recipe import DataPart
from tests.unit.dataset_samples import write_all, write_fer2013

HEADER = "set,image,old,new\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_all(tmp_path / "data")


@pytest.fixture
def faces(root: Path) -> Dataset:
    return load_for(root, DataPart(labels="fer2013-7", sets=("fer2013", "ck+")))


def sure_of(classes: list[int], confidence: float = 0.95) -> np.ndarray:
    """Probabilities (N, 7) with ``confidence`` in the named classes."""
    rest = (1 - confidence) / 6
    return np.where(np.eye(7, dtype=bool)[classes], confidence, rest).astype(np.float32)


def test_only_sure_contradictions_are_disagreements() -> None:
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.11, 0.89], [0.1, 0.9]])
    labels = np.array([0, 0, 0, 0])
    assert disagreements(probabilities, labels, 0.9).tolist() == [1, 3]


@given(
    raw=st.integers(1, 30).flatmap(lambda n: arrays(np.float64, (n, 3), elements=st.floats(0.01, 1))),
    seed=st.integers(0, 9),
    threshold=st.floats(0.51, 1),
)
def test_disagreements_are_as_defined(raw: np.ndarray, seed: int, threshold: float) -> None:
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    labels = np.random.default_rng(seed).integers(0, 3, len(raw))
    found = set(disagreements(probabilities, labels, threshold).tolist())
    for row, (shares, label) in enumerate(zip(probabilities, labels, strict=True)):
        others = [share for number, share in enumerate(shares) if number != label]
        assert (row in found) == (max(others) >= threshold)


@pytest.mark.parametrize("threshold", [0.5, 1.1])
def test_a_threshold_that_two_classes_could_reach_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        disagreements(np.eye(2), np.array([0, 1]), threshold)


def test_what_is_found_is_written_and_applied(root: Path, faces: Dataset, tmp_path: Path) -> None:
    train = faces.split("train")
    said = train.labels.copy()
    said[[0, 10]] = (train.labels[[0, 10]] + 1) % 7
    found = clean(faces, sure_of(said.tolist()), 0.9)
    assert (found.rows, found.changed) == (len(train), 2)
    assert {change.set for change in found.changes} == {"fer2013", "ck+"}
    write_changes(tmp_path / "relabel.csv", found.changes)
    part = DataPart(labels="fer2013-7", sets=("fer2013", "ck+"), relabel=str(tmp_path / "relabel.csv"))
    changed = load_for(root, part)
    np.testing.assert_array_equal(changed.split("train").labels, said)
    np.testing.assert_array_equal(changed.split("train").soft, np.eye(7)[said])
    assert changed.relabelled == inspect(changed).relabelled == 2
    assert changed.split("test").sha256 == faces.split("test").sha256
    np.testing.assert_array_equal(train.labels, faces.split("train").labels)
    assert load_for(root, DataPart(labels="fer2013-7", sets=("fer2013", "ck+"))).relabelled == 0


def test_a_model_that_agrees_changes_nothing(faces: Dataset) -> None:
    found = clean(faces, sure_of(faces.split("train").labels.tolist()), 0.9)
    assert (found.changed, found.pairs, found.changes) == (0, (), ())


def test_pairs_are_counted_most_frequent_first(faces: Dataset) -> None:
    found = clean(faces, sure_of([3] * len(faces.split("train"))), 0.9)
    assert sum(pair.rows for pair in found.pairs) == found.changed
    assert [pair.rows for pair in found.pairs] == sorted((p.rows for p in found.pairs), reverse=True)
    assert {pair.new for pair in found.pairs} == {"happiness"}


def test_a_repeated_image_changes_only_under_the_named_label(tmp_path: Path) -> None:
    # Rows 0 and 7 are anger, row 1 is disgust; all three show one image.
    seeds = iter([5, 5, 12, 13, 14, 15, 16, 5, *range(20, 26)])
    data = load(write_fer2013(tmp_path, seeds))
    image = as_text(data.split("train").prints[:1])[0]
    file = tmp_path / "relabel.csv"
    file.write_text(f"{HEADER}FER2013,{image},anger,fear\n")
    assert relabelled(data, file).split("train").labels.tolist() == [2, 1, 2, 3, 4, 5, 6, 2]
    assert relabelled(data, file).relabelled == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fer2013,0123456789abcdef,anger,fear", "line 3: no training row of fer2013 shows the image '0123"),
        ("ck+,{first},anger,fear", r"line 3: no training row of ck\+ shows the image"),
        ("fer2013,{test},anger,fear", "line 3: no training row of fer2013 shows the image"),
        ("fer2013,{first},sadness,fear", "line 3: the old label is sadness, the data says anger"),
        ("fer2013,{first},anger,bored", "line 3: 'bored' is no class of fer2013-7; known: anger"),
        ("fer2013,{first},angry,fear", "line 3: 'angry' is no class of fer2013-7"),
        ("jaffe,{first},anger,fear", "line 3: 'jaffe' is no set of the data; known: fer2013, ck+"),
        ("fer2013,{second},disgust,sadness", "line 3: this image was already relabelled further up"),
        ('fer2013,"{first}', "cannot be read as a CSV"),
    ],
)
def test_a_line_that_does_not_fit_is_named(faces: Dataset, tmp_path: Path, line: str, message: str) -> None:
    first, second = as_text(faces.split("train").prints[:2])
    (test,) = as_text(faces.split("test").prints[:1])
    file = tmp_path / "relabel.csv"
    rows = f"fer2013,{second},disgust,fear\n" + line.format(first=first, second=second, test=test)
    file.write_text(f"{HEADER}{rows}\n")
    with pytest.raises(InputError, match=message):
        relabelled(faces, file)


def test_a_file_of_other_columns_or_none_is_refused(faces: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "relabel.csv"
    with pytest.raises(InputError, match=r"relabel\.csv: cannot be read as a CSV"):
        relabelled(faces, file)
    file.write_text("set,row,old,new\nfer2013,1,anger,fear\n")
    with pytest.raises(InputError, match="no column 'image'"):
        relabelled(faces, file)
