"""Compressed constants, of iOS 16 (one scale or table a tensor or channel) and of iOS 18 (a block or group)."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.runtimes.mil.dtypes import BY_NAME
from edgefer.runtimes.mil.operation import Array, Floats, Op, integers
from edgefer.runtimes.mil.ops.quantization import cast, dequantize
from edgefer.runtimes.mil.packing import unpack


def affine_dequantize(quantized_data: Array, zero_point: Any, scale: Any, axis: int) -> Floats:
    """``scale * (quantized_data - zero_point)``, both scalars or vectors along ``axis``."""
    return dequantize(quantized_data, scale, zero_point, axis)


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Floats:
    """``scale * (data - offset)``; each value of ``scale`` and ``offset`` serves one block of ``data``."""
    centred = data.astype(np.float32)
    if offset is not None:
        centred = centred - _blocks(offset, data.shape)
    return centred * _blocks(scale, data.shape)


def _blocks(values: Array, shape: tuple[int, ...]) -> Array:
    """``values`` repeated along every axis to ``shape``, which they divide."""
    for axis, (size, count) in enumerate(zip(shape, values.shape, strict=True)):
        if size % count:
            raise ValueError(f"{count} blocks do not divide {size} values on axis {axis}")
        if count != 1:
            values = np.repeat(values, size // count, axis)
    return values.astype(np.float32)


def lut_to_dense(indices: Array, lut: Array, shape: Any = None, vector_axis: int | None = None) -> Array:
    """Look ``indices`` up in ``lut``.

    iOS 18: ``lut`` is (groups of each axis..., entries, vector length); a vector lies along ``vector_axis``.
    iOS 16: one table, and ``indices`` packed into bytes, which is why the ``shape`` is told.
    """
    if shape is not None:
        sizes = integers(shape)
        bits = max(1, (len(lut) - 1).bit_length())
        indices = unpack(indices.tobytes(), int(np.prod(sizes)), BY_NAME[f"uint{bits}"]).reshape(sizes)
        lut = lut.reshape(*[1] * len(sizes), -1, 1)
    entries, length = lut.shape[-2:]
    if lut.ndim != indices.ndim + 2 or indices.max(initial=0) >= entries:
        raise ValueError(f"indices {indices.shape} up to {indices.max(initial=0)} and a table {lut.shape}")
    found: Array = lut.reshape(-1, length)[_table_numbers(lut.shape[:-2], indices.shape) * entries + indices]
    # A vector's values stand side by side along its axis.
    axis = int(vector_axis or 0) % indices.ndim
    sizes = tuple(size * length if at == axis else size for at, size in enumerate(indices.shape))
    return np.moveaxis(found, -1, axis + 1).reshape(sizes)


def _table_numbers(groups: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Which of the tables, counted in row-major order, serves each place of ``shape``."""
    numbers = np.arange(int(np.prod(groups)), dtype=np.int64).reshape(groups)
    for axis, (size, count) in enumerate(zip(shape, groups, strict=True)):
        if size % count:
            raise ValueError(f"{count} tables do not divide {size} values on axis {axis}")
        numbers = np.repeat(numbers, size // count, axis)
    return numbers


def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Any = None) -> Array:
    """``nonzero_data`` at the set bits of ``mask`` in row-major order, zeros elsewhere.

    iOS 18's mask has the shape of the result; iOS 16's is packed into bytes, and the ``shape`` is told.
    """
    if shape is not None:
        sizes = integers(shape)
        mask = unpack(mask.tobytes(), int(np.prod(sizes)), BY_NAME["uint1"]).reshape(sizes)
    chosen = mask != 0
    if np.count_nonzero(chosen) != len(nonzero_data):
        raise ValueError(f"a mask of {np.count_nonzero(chosen)} values for {len(nonzero_data)}")
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[chosen] = nonzero_data
    return dense


def lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: int | None = None
) -> tuple[Array, Array]:
    """Look up the non-zero places only; returns the mask (grown along ``vector_axis``) and the values there."""
    dense = lut_to_dense(sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis=vector_axis)
    mask = indices_mask if lut.shape[-1] == 1 else np.repeat(indices_mask, lut.shape[-1], axis=vector_axis)
    return mask, dense[mask != 0]


def sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Floats]:
    """``blockwise_shift_scale`` of the non-zero places only; returns the mask and the values there."""
    dense = blockwise_shift_scale(sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def constant_cast(source_val: Array, output_dtype: str) -> Array:
    """A constant as another data type."""
    return cast(source_val, output_dtype)


OPS = (
    Op("constexpr_affine_dequantize", affine_dequantize),
    Op("constexpr_blockwise_shift_scale", blockwise_shift_scale),
    Op("constexpr_lut_to_dense", lut_to_dense, exact=True),
    Op("constexpr_sparse_to_dense", sparse_to_dense, exact=True),
    Op("constexpr_lut_to_sparse", lut_to_sparse, exact=True),
    Op("constexpr_sparse_blockwise_shift_scale", sparse_blockwise_shift_scale),
    Op("constexpr_cast", constant_cast),
)
