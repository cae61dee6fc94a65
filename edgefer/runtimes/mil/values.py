"""Constants as arrays: those that stand in the program itself, and those that stand in a weight file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.protobuf import Message
from edgefer.runtimes.mil import dtypes
from edgefer.runtimes.mil.dtypes import DType
from edgefer.runtimes.mil.packing import packed_size, unpack

# MIL.proto, TensorValue: which field holds the values of a type; all others lie in "bytes", as in a weight file.
_FIELDS = {
    "fp32": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 2,
    "bool": 3,
    "string": 4,
    "int64": 5,
    "uint64": 5,
    "fp64": 6,
}
_BYTES = 7


def immediate(tensor: Message, dtype: DType, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """The constant that a ``TensorValue`` message holds.

    Raises:
        ValueError: it holds more or fewer values than its shape.
    """
    sizes = [size for size in shape if size is not None]
    if len(sizes) != len(shape):
        raise ValueError("a constant has no fixed shape")
    count = math.prod(sizes)
    flat = _flat(tensor, dtype, count)
    if len(flat) != count:
        raise ValueError(f"a constant of shape {tuple(sizes)} holds {len(flat)} values")
    return flat.reshape(sizes)


def _flat(tensor: Message, dtype: DType, count: int) -> npt.NDArray[Any]:
    field = _FIELDS.get(dtype.name, _BYTES)
    values = tensor.message(field)
    if field == _BYTES:
        return _unpacked(values.content(1), dtype, count)
    if dtype.name in ("fp32", "fp64"):
        return np.frombuffer(b"".join(values.all(1)), dtype.numpy)
    if dtype is dtypes.STRING:
        return np.array([text.decode() for text in values.all(1)], object)
    return np.array(values.numbers(1), np.uint64).astype(np.int64).astype(dtype.numpy)


def _unpacked(data: bytes, dtype: DType, count: int) -> npt.NDArray[Any]:
    if len(data) != packed_size(count, dtype.bits):
        raise ValueError(f"{count} values of {dtype.name} do not take {len(data)} bytes")
    return unpack(data, count, dtype)
