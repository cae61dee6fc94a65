import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.runtimes.feeding import dequantize, feed_for, portions, quantize
from edgefer.spec import InputSpec


def tensor(dtype, scale=None, zero_point=None):
    return TensorSpec(name="t", dtype=dtype, shape=(None, 2, 2, 1), scale=scale, zero_point=zero_point)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    st.floats(0.001, 1.0),
    st.sampled_from([("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767)]),
    st.data(),
)
def test_quantizing_loses_at_most_half_a_step_inside_the_range_and_saturates_outside(
    values, scale, kind, data
):
    dtype, lowest, highest = kind
    zero_point = 0 if dtype == "int16" else data.draw(st.integers(lowest, highest))
    spec = tensor(dtype, scale, zero_point)
    values = np.asarray(values, np.float32)
    back = dequantize(quantize(values, spec), spec)
    inside = np.clip(values, (lowest - zero_point) * scale, (highest - zero_point) * scale)
    # Half a step, and float32's own rounding of values up to 100 and products up to 32768 steps.
    assert np.all(np.abs(back - inside) <= 0.5 * scale + 2e-2 * scale + 1e-4)


def test_raw_pixels_pass_unchanged_as_uint8_and_shifted_as_int8():
    pixels = np.array([0, 1, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    spec = InputSpec(height=2, width=2, channels=1, range=(-1.0, 1.0))
    out = tensor("float32")
    as_uint8 = feed_for(pixels, spec, IOSpec(mode="raw", input=tensor("uint8"), output=out))
    as_int8 = feed_for(pixels, spec, IOSpec(mode="raw", input=tensor("int8", 1.0, -128), output=out))
    as_float = feed_for(pixels, spec, IOSpec(mode="raw", input=tensor("float32"), output=out))
    assert as_uint8.dtype == np.uint8
    assert as_int8.ravel().tolist() == [-128, -127, 0, 127]
    assert as_float.ravel().tolist() == [0, 1, 128, 255]


def test_float_mode_feeds_the_backbones_own_range():
    pixels = np.array([0, 255, 255, 0], np.uint8).reshape(1, 2, 2, 1)
    spec = InputSpec(height=2, width=2, channels=1, range=(-1.0, 1.0))
    feed = feed_for(pixels, spec, IOSpec(mode="float", input=tensor("float32"), output=tensor("float32")))
    assert feed.ravel().tolist() == pytest.approx([-1, 1, 1, -1], abs=1e-6)


@given(st.integers(0, 300), st.sets(st.integers(2, 100)))
def test_images_are_dealt_to_calls_of_listed_sizes_and_none_is_left(count, more):
    sizes = {1, *more}
    found = portions(count, tuple(sizes))
    assert sum(found) == count
    assert set(found) <= sizes
    assert found == sorted(found, reverse=True)
    assert portions(max(sizes), tuple(sizes)) == [max(sizes)]


def test_a_last_piece_of_a_batch_goes_in_smaller_calls():
    assert portions(53, (1, 8, 64)) == [8] * 6 + [1] * 5
