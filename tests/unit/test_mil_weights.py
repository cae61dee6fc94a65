"""Core ML's weight file and numbers narrower than a byte, against coremltools' own writer; float16 rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.errors import InputError
from edgefer.runtimes.mil.blob import ALIGNMENT, WeightFile
from edgefer.runtimes.mil.dtypes import BY_NAME
from edgefer.runtimes.mil.packing import packed_size, unpack
from edgefer.runtimes.mil.rounding import rounded

RANGES = {
    "uint1": (0, 1), "uint2": (0, 3), "uint3": (0, 7), "uint4": (0, 15), "uint6": (0, 63), "int4": (-8, 7),
    "int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1), "uint32": (0, 2**32 - 1),
}  # fmt: skip
CONSTANTS = st.sampled_from(sorted(RANGES)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.integers(*RANGES[name]), min_size=1, max_size=70))
)


def write(path, constants):
    """Write (type name, values) pairs; returns the offset of each."""
    from coremltools.libmilstoragepython import _BlobStorageWriter

    path.unlink(missing_ok=True)
    file = _BlobStorageWriter(str(path))
    return [
        getattr(file, f"write_{name}_data")(np.array(values, BY_NAME[name].numpy))
        for name, values in constants
    ]


@settings(max_examples=40, deadline=None)
@given(constants=st.lists(CONSTANTS, min_size=1, max_size=4))
def test_every_constant_that_coremltools_writes_is_read_back(constants, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weight.bin"
    offsets = write(path, constants)
    file = WeightFile(path)
    for (name, values), offset in zip(constants, offsets, strict=True):
        blob = file.at(offset)
        assert (blob.dtype.name, blob.values) == (name, len(values))
        assert unpack(blob.data, blob.values, blob.dtype).tolist() == values


def test_floats_keep_their_bits(tmp_path):
    from coremltools.libmilstoragepython import _BlobStorageWriter

    path, values = tmp_path / "weight.bin", np.float32([0.1, -3e38, 1e-40])
    file = _BlobStorageWriter(str(path))
    single = file.write_float_data(values)
    half = file.write_fp16_data(values[:1].astype(np.float16).view(np.uint16))
    del file
    read = WeightFile(path)
    assert unpack(read.at(single).data, 3, BY_NAME["fp32"]).tolist() == values.tolist()
    assert unpack(read.at(half).data, 1, BY_NAME["fp16"]).tolist() == [np.float16(0.1)]


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weight.bin"
    write(path, [("uint8", range(100)), ("int8", range(100))])
    return path


def every_constant(path):
    file = WeightFile(path)
    return [file.at(offset) for offset in (64, 256)]


def test_a_file_cut_off_anywhere_is_refused_with_its_name(weights):
    whole = weights.read_bytes()
    last = 256 + 64 + 100  # behind it there is only padding
    for size in range(0, last, 7):
        weights.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"weight\.bin: the weight file is cut off or damaged"):
            every_constant(weights)
    weights.write_bytes(whole[:last])
    assert len(every_constant(weights)) == 2


@given(place=st.integers(0, 419), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_gives_an_input_error_or_constants_within_the_file(place, bit, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weight.bin"
    write(path, [("uint8", range(100)), ("int8", range(100))])
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        found = every_constant(path)
    except InputError:
        return
    assert all(packed_size(blob.values, blob.dtype.bits) <= len(blob.data) for blob in found)


@pytest.mark.parametrize("offset", [0, 63, 65, 128, 10**9, ALIGNMENT * 10**6])
def test_there_is_a_constant_only_where_one_begins(weights, offset):
    with pytest.raises(InputError, match="byte"):
        WeightFile(weights).at(offset)


def test_too_few_bytes_hold_no_numbers():
    with pytest.raises(ValueError, match="2 bytes hold no 3 numbers of uint6"):
        unpack(b"ab", 3, BY_NAME["uint6"])


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_rounding_to_float16_is_numpys_for_every_bit_pattern(bits):
    values = np.array(bits, np.uint32).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16).astype(np.float32)
    assert np.array_equal(rounded(values), expected, equal_nan=True)


def test_halves_between_two_float16_numbers_go_to_the_even_one():
    numbers = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = (numbers[:-1] + numbers[1:]) / 2
    assert np.array_equal(rounded(-halves), (-halves).astype(np.float16).astype(np.float32))
