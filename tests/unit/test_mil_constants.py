"""Compressed constants, against coremltools' own decompression and worked examples of its documentation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgefer.runtimes.mil.dtypes import BY_NAME
from edgefer.runtimes.mil.packing import unpack
from edgefer.runtimes.mil.program import operations

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)
QUICK = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module", autouse=True)
def _coremltools():
    """Imported here, because on import it changes the recursion limit, which hypothesis minds within a test."""
    import coremltools  # noqa: F401


def compute(name, **arguments):
    return operations()[f"constexpr_{name}"].compute(**arguments)


def packed(values, bits):
    """From the lowest bit of every byte upward, one bit at a time: slow, and obviously right."""
    bits_of = [int(value) >> place & 1 for value in np.ravel(values) for place in range(bits)]
    out = bytearray(-(-len(bits_of) // 8))
    for number, bit in enumerate(bits_of):
        out[number // 8] |= bit << number % 8
    return np.frombuffer(bytes(out), np.uint8)


@given(st.sampled_from(["uint1", "uint2", "uint3", "uint4", "uint6", "int4"]), st.data())
def test_packed_numbers_come_back(name, data):
    dtype = BY_NAME[name]
    low = -(1 << dtype.bits - 1) if dtype.signed else 0
    values = data.draw(st.lists(st.integers(low, low + (1 << dtype.bits) - 1), max_size=40))
    assert unpack(packed(values, dtype.bits).tobytes(), len(values), dtype).tolist() == values


@QUICK
@given(SHAPES, st.data())
def test_affine(shape, data):
    from coremltools.converters.mil.mil.ops.defs.iOS16.constexpr_ops import constexpr_affine_dequantize

    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    stored = rng.integers(-128, 128, shape).astype(np.int8)
    zero, scale = rng.integers(-9, 9, shape[axis]).astype(np.int8), rng.random(shape[axis], np.float32)
    found = compute("affine_dequantize", quantized_data=stored, zero_point=zero, scale=scale, axis=axis)
    assert np.allclose(found, constexpr_affine_dequantize.decompress(stored, zero, scale, axis), rtol=1e-6)


@QUICK
@given(SHAPES, st.sampled_from([1, 2, 4, 6, 8]), st.integers(0, 99))
def test_one_table_with_packed_indices(shape, bits, seed):
    rng = np.random.default_rng(seed)
    indices, lut = rng.integers(0, 1 << bits, shape), rng.random(1 << bits, np.float32)
    found = compute("lut_to_dense", indices=packed(indices, bits), lut=lut, shape=np.array(shape, np.uint32))
    assert np.array_equal(found, lut[indices])


@QUICK
@given(SHAPES, st.data())
def test_tables_a_group_with_single_values_or_vectors(shape, data):
    from coremltools.optimize._utils import lut_to_dense

    groups = tuple(
        data.draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0])) for size in shape
    )
    length = data.draw(st.sampled_from([1, 2, 3]))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1)) if length > 1 else None
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    indices, lut = rng.integers(0, 4, shape).astype(np.uint8), rng.random((*groups, 4, length), np.float32)
    found = compute("lut_to_dense", indices=indices, lut=lut, vector_axis=axis)
    assert np.array_equal(found, lut_to_dense(indices, lut, None if axis is None else axis % len(shape)))


def test_the_documentations_example_of_two_tables():
    indices = np.uint8([2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3]).reshape(6, 2)
    lut = np.float32([1, 5, 9, 13, 2, 10, 18, 26]).reshape(2, 1, 4, 1)
    expected = [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]]
    assert compute("lut_to_dense", indices=indices, lut=lut).tolist() == expected


@QUICK
@given(SHAPES, st.data())
def test_blocks(shape, data):
    from coremltools.converters.mil.mil.ops.defs.iOS18.compression import constexpr_blockwise_shift_scale

    blocks = tuple(
        data.draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0])) for size in shape
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    stored, scale = rng.integers(-8, 8, shape).astype(np.int8), rng.random(blocks, np.float32)
    offset = data.draw(st.sampled_from([None, rng.integers(-8, 8, blocks).astype(np.int8)]))
    found = compute("blockwise_shift_scale", data=stored, scale=scale, offset=offset)
    expected = constexpr_blockwise_shift_scale.decompress(stored, scale, offset)
    assert np.allclose(found, expected, rtol=1e-6)


@QUICK
@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1)), st.integers(0, 99))
def test_sparse(mask, seed):
    values = np.random.default_rng(seed).integers(1, 9, np.count_nonzero(mask)).astype(np.int8)
    expected = np.zeros(mask.shape, np.int8)
    expected[mask != 0] = values
    assert np.array_equal(compute("sparse_to_dense", nonzero_data=values, mask=mask), expected)
    old = {"mask": packed(mask, 1), "shape": np.array(mask.shape, np.uint32)}
    assert np.array_equal(compute("sparse_to_dense", nonzero_data=values, **old), expected)


@QUICK
@given(hnp.arrays(np.uint8, (4, 6), elements=st.integers(0, 1)), st.sampled_from([(1, None), (2, 0), (2, 1)]))
def test_sparse_indices_and_sparse_blocks(mask, vector):
    from coremltools.converters.mil.mil.ops.defs.iOS18 import compression

    length, axis = vector
    rng = np.random.default_rng(0)
    count = np.count_nonzero(mask)
    indices, lut = rng.integers(0, 4, count).astype(np.uint8), rng.random((2, 3, 4, length), np.float32)
    found = compute(
        "lut_to_sparse", indices_mask=mask, indices_nonzero_data=indices, lut=lut, vector_axis=axis
    )
    expected = compression.constexpr_lut_to_sparse.decompress(mask, indices, lut, axis)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))
    stored, scale = rng.integers(-8, 8, count).astype(np.int8), rng.random((2, 3), np.float32)
    found = compute("sparse_blockwise_shift_scale", data_mask=mask, nonzero_data=stored, scale=scale)
    expected = compression.constexpr_sparse_blockwise_shift_scale.decompress(mask, stored, scale, None)
    assert np.array_equal(found[0], expected[0])
    assert np.allclose(found[1], expected[1], rtol=1e-6)


def test_a_cast_constant():
    assert compute("cast", source_val=np.float32([1.5]), output_dtype="fp32").dtype == np.float32


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("lut_to_dense", {"indices": np.uint8([4]), "lut": np.zeros((1, 4, 1), np.float32)}, "up to 4"),
        ("lut_to_dense", {"indices": np.uint8([0, 1, 2]), "lut": np.zeros((2, 4, 1))}, "do not divide"),
        ("blockwise_shift_scale", {"data": np.int8([1, 2, 3]), "scale": np.float32([1, 2])}, "do not divide"),
        (
            "sparse_to_dense",
            {"nonzero_data": np.int8([1]), "mask": np.uint8([1, 1])},
            "a mask of 2 values for 1",
        ),
    ],
)
def test_constants_that_do_not_fit_together_are_refused(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        compute(name, **arguments)
