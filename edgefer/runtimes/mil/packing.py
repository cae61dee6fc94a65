"""Numbers narrower than a byte: packed from each byte's lowest bit upward, across byte borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.runtimes.mil.dtypes import DType


def packed_size(count: int, bits: int) -> int:
    """Bytes that ``count`` numbers of ``bits`` each take."""
    return -(-count * bits // 8)


def unpack(data: bytes, count: int, dtype: DType) -> npt.NDArray[Any]:
    """The first ``count`` numbers in ``data`` as a flat array of ``dtype.numpy``; signed ones are sign-extended.

    Raises:
        ValueError: ``data`` holds fewer.
    """
    if len(data) < packed_size(count, dtype.bits):
        raise ValueError(f"{len(data)} bytes hold no {count} numbers of {dtype.name}")
    if dtype.bits >= 8:
        return np.frombuffer(data, dtype.numpy, count)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count * dtype.bits, bitorder="little")
    values = bits.reshape(count, dtype.bits) @ (1 << np.arange(dtype.bits, dtype=np.int16))
    if dtype.signed:
        values -= (values >> dtype.bits - 1) << dtype.bits
    return values.astype(dtype.numpy)
