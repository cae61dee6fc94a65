"""Data types of ML Programs: their names, widths and codes in the program and in the weight file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class DType(NamedTuple):
    """``bits`` as stored; ``numpy`` holds the values once unpacked, one element each (int8 for int4, say)."""

    name: str
    bits: int
    numpy: np.dtype[Any]

    @property
    def signed(self) -> bool:
        """Whether values may be negative."""
        return self.numpy.kind != "u"


FP16 = DType("fp16", 16, np.dtype("<f2"))
FP32 = DType("fp32", 32, np.dtype("<f4"))
BOOL = DType("bool", 8, np.dtype(np.bool_))
STRING = DType("string", 0, np.dtype(object))
INT32 = DType("int32", 32, np.dtype("<i4"))
UINT8 = DType("uint8", 8, np.dtype("u1"))
INT8 = DType("int8", 8, np.dtype("i1"))

_OTHERS = (
    DType("fp64", 64, np.dtype("<f8")),
    DType("int16", 16, np.dtype("<i2")),
    DType("int64", 64, np.dtype("<i8")),
    DType("uint16", 16, np.dtype("<u2")),
    DType("uint32", 32, np.dtype("<u4")),
    DType("uint64", 64, np.dtype("<u8")),
    DType("int4", 4, np.dtype("i1")),
    *(DType(f"uint{bits}", bits, np.dtype("u1")) for bits in (1, 2, 3, 4, 6)),
)
BY_NAME = {each.name: each for each in (FP16, FP32, BOOL, STRING, INT32, UINT8, INT8, *_OTHERS)}

# MIL.proto, enum DataType. Its 8-bit and brain floats are of no use to a network and refused by name.
_PROGRAM_CODES = {
    1: "bool", 2: "string", 10: "fp16", 11: "fp32", 12: "fp64", 21: "int8", 22: "int16", 23: "int32", 24: "int64",
    25: "int4", 31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64", 35: "uint4", 36: "uint2", 37: "uint1",
    38: "uint6", 39: "uint3",
}  # fmt: skip
# coremltools, MILBlob/Blob/BlobDataType.hpp.
_BLOB_CODES = {
    1: "fp16", 2: "fp32", 3: "uint8", 4: "int8", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1", 10: "uint2",
    11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32",
}  # fmt: skip


def of_program(code: int) -> DType:
    """The data type that a program's ``TensorType`` names.

    Raises:
        ValueError: a code that is none of these.
    """
    return _lookup(_PROGRAM_CODES, code, "program")


def of_blob(code: int) -> DType:
    """The data type that a weight file's metadata names; raises like ``of_program``."""
    return _lookup(_BLOB_CODES, code, "weight file")


def _lookup(codes: dict[int, str], code: int, where: str) -> DType:
    if code not in codes:
        raise ValueError(f"data type {code} of a {where} is not one of {', '.join(codes.values())}")
    return BY_NAME[codes[code]]
