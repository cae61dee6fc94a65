from __future__ import annotations

import numpy as np
import pytest
from bench_fakes import LABELS, NullSession, artifact, baseline, dataset

from edgefer.bench.scoring import accuracy, reader
from edgefer.errors import EdgeferError, InputError
from edgefer.spec import LabelSet


def scored(data, **settings):
    made = artifact(**settings)
    return accuracy(NullSession(made, 1), made, data)


def test_full_and_clean_scores():
    found = scored(dataset(wrong=3, leaked=range(10)))
    assert (found.full.n, found.clean.n) == (30, 20)
    assert found.full.accuracy == pytest.approx(0.9)
    assert found.clean.accuracy == 1.0, "all three errors were on leaked rows"
    assert found.full.rows_sha256 != found.clean.rows_sha256
    assert found.predictions[:4] == (1, 2, 0, 0)
    assert (found.data, found.synthetic) == ("toys", True)


def test_drop_against_the_baseline_on_the_same_rows():
    data = dataset(wrong=3, leaked=[0])
    found = scored(data, baseline=baseline(data))
    assert found.f1_drop == pytest.approx(100 * (1 - found.full.weighted_f1))
    assert found.f1_drop_clean == pytest.approx(100 * (1 - found.clean.weighted_f1))
    assert found.drop_skipped == ""


def test_no_drop_without_a_baseline():
    found = scored(dataset())
    assert found.f1_drop is None
    assert found.drop_skipped == "the artifact carries no baseline"


def test_no_drop_against_other_rows():
    found = scored(dataset(wrong=1), baseline=baseline(dataset(name="others")))
    assert found.baseline is None
    assert found.f1_drop is None
    assert found.drop_skipped.startswith("baseline was taken on other rows: others (30 rows, ")


def test_the_batch_size_does_not_change_the_predictions():
    data, made = dataset(wrong=5), artifact()
    found = {accuracy(NullSession(made, 1), made, data, batch=size).predictions for size in (1, 7, 30, 64)}
    assert len(found) == 1


@pytest.mark.parametrize(
    "names",
    [("sad", "glad", "calm"), ("glad", "sad", "calm", "cross")],
    ids=["other order", "other count"],
)
def test_other_classes_are_refused(names):
    with pytest.raises(InputError, match="toys has the classes") as caught:
        scored(dataset(labels=LabelSet(source="folder", names=names)))
    assert "the artifact was made for glad, sad, calm" in caught.value.message


def test_no_test_rows():
    data = dataset()
    data.splits.clear()
    with pytest.raises(InputError, match="toys has no test rows"):
        scored(data)


def test_nan_is_an_error_and_not_the_first_class():
    class Broken(NullSession):
        def decode(self, outputs):
            return np.full((len(outputs), len(LABELS)), np.nan, np.float32)

    made = artifact()
    with pytest.raises(EdgeferError, match="answers NaN for 30 of 30 test images"):
        accuracy(Broken(made, 1), made, dataset())


def test_all_rows_leaked():
    with pytest.raises(InputError, match="every image of the split also stands in the training split"):
        scored(dataset(leaked=range(30)))


def test_artifacts_of_one_shape_share_one_load(monkeypatch):
    asked = []

    def load(path, label_set, *, size, channels):
        asked.append((path, label_set, size, channels))
        return dataset()

    monkeypatch.setattr("edgefer.datasets.loading.load", load)
    faces = reader("there", None)
    assert faces(artifact("one")) is faces(artifact("two"))
    assert asked == [("there", "folder", (4, 4), 1)]
    reader("there", "ferplus-8")(artifact())
    assert asked[1][1] == "ferplus-8"
