"""Between real numbers and the integers that stand for them, and between data types."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.runtimes.mil.dtypes import BY_NAME
from edgefer.runtimes.mil.operation import Array, Floats, Op


def quantize(
    input: Floats,  # noqa: A002 - MIL's name for it
    scale: Any,
    output_dtype: str,
    zero_point: Any = None,
    axis: int | None = None,
) -> Array:
    """``round(input / scale) + zero_point``, halves to even, saturated to int8 or uint8."""
    stored = np.rint(input / _along(scale, input, axis))
    if zero_point is not None:
        stored = stored + _along(zero_point, input, axis).astype(np.float32)
    kind = BY_NAME[output_dtype].numpy
    return np.clip(stored, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)


def dequantize(
    input: Array,  # noqa: A002 - MIL's name for it
    scale: Any,
    zero_point: Any = None,
    axis: int | None = None,
) -> Floats:
    """``(input - zero_point) * scale`` as float32."""
    centred = input.astype(np.float32)
    if zero_point is not None:
        centred = centred - _along(zero_point, input, axis).astype(np.float32)
    return centred * _along(scale, input, axis)


def _along(parameter: Any, x: Array, axis: int | None) -> Array:
    """A scalar as it is; a vector along ``axis`` of ``x``."""
    values = np.asarray(parameter)
    if values.ndim == 0 or axis is None:
        return values
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)


def cast(x: Array, dtype: str) -> Array:
    """``x`` as another data type; floats lose their fraction on the way to integers."""
    kind = BY_NAME[dtype].numpy
    # Float16 is held as float32; the executor rounds what a program declares to be float16.
    return np.asarray(x).astype(np.float32 if kind.kind == "f" else kind)


OPS = (Op("quantize", quantize), Op("dequantize", dequantize), Op("cast", cast))
