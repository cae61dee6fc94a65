import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.errors import InputError
from edgefer.sampling import balanced_rows, telling_rows

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=200).map(lambda v: np.asarray(v, np.int64))


@given(LABELS, st.integers(1, 60), st.integers(0, 9))
def test_calibration_rows_are_distinct_seeded_and_as_even_as_classes_allow(labels, count, seed):
    rows = balanced_rows(labels, count, seed)
    assert len(set(rows.tolist())) == len(rows) == min(count, len(labels))
    assert np.array_equal(rows, balanced_rows(labels, count, seed))
    taken = np.bincount(labels[rows], minlength=5)
    spare = np.bincount(labels, minlength=5) > taken
    # A class that still has rows to give was never passed over for another.
    assert not spare.any() or taken[spare].min() >= taken.max() - 1


def test_an_empty_calibration_set_is_refused():
    with pytest.raises(InputError, match="calibration set is empty"):
        balanced_rows(np.zeros(0, np.int64), 10, 0)


def test_telling_rows_show_every_predicted_class():
    outputs = np.eye(4, dtype=np.float32)[np.array([0] * 30 + [1, 2, 3])]
    rows = telling_rows(outputs, 8)
    assert set(outputs[rows].argmax(axis=1)) == {0, 1, 2, 3}
    assert len(rows) == 8
