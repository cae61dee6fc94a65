"""Operations that move values and compute none."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Op, integers

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def reshape(x: Array, shape: Any) -> Array:
    """``x`` in another shape; -1 stands for what is left, 0 for the size that ``x`` has there."""
    sizes = (x.shape[axis] if size == 0 else size for axis, size in enumerate(integers(shape)))
    return x.reshape(tuple(sizes))


def transpose(x: Array, perm: Any) -> Array:
    """Axes in another order."""
    return x.transpose(integers(perm))


def concat(values: tuple[Array, ...], axis: int, interleave: bool = False) -> Array:
    """``values`` behind one another along ``axis``, or taking turns there."""
    if not interleave:
        return np.concatenate(values, axis=axis)
    stacked = np.stack(values, axis=(axis % values[0].ndim) + 1)
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return stacked.reshape(shape)


def stack(values: tuple[Array, ...], axis: int) -> Array:
    """``values`` beside one another along a new axis."""
    return np.stack(values, axis=axis)


def split(x: Array, axis: int, num_splits: int | None = None, split_sizes: Any = None) -> tuple[Array, ...]:
    """``x`` cut along ``axis`` into equal parts, or into parts of the given sizes."""
    if split_sizes is None:
        return tuple(np.split(x, int(num_splits or 1), axis=axis))
    return tuple(np.split(x, np.cumsum(integers(split_sizes))[:-1], axis=axis))


def squeeze(x: Array, axes: Any = None) -> Array:
    """``x`` without the axes of size 1, or without the named ones."""
    return np.squeeze(x, axis=None if axes is None else integers(axes))


def expand_dims(x: Array, axes: Any) -> Array:
    """``x`` with new axes of size 1."""
    return np.expand_dims(x, axis=integers(axes))


def pad(x: Array, pad: Any, mode: str = "constant", constant_val: Any = 0) -> Array:
    """``x`` with (before, after) values around its last axes."""
    edges = integers(pad)
    pairs = list(zip(edges[::2], edges[1::2], strict=True))
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    filling = {"constant_values": constant_val} if mode == "constant" else {}
    return np.pad(x, widths, _PAD_MODES[mode], **filling)  # type: ignore[call-overload,no-any-return]


def slice_by_index(
    x: Array, begin: Any, end: Any, stride: Any = None, begin_mask: Any = None, end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Array:  # fmt: skip
    """``x[begin:end:stride]`` a dimension; a set mask means "from the start", "to the end", "drop this axis"."""
    steps = (1,) * x.ndim if stride is None else integers(stride)
    open_begin, open_end, drop = (_mask(mask, x.ndim) for mask in (begin_mask, end_mask, squeeze_mask))
    cuts: list[slice | int] = []
    for axis, (first, last) in enumerate(zip(integers(begin), integers(end), strict=True)):
        if drop[axis]:
            cuts.append(first)
        else:
            start, stop = (None if open_begin[axis] else first), (None if open_end[axis] else last)
            cuts.append(slice(start, stop, steps[axis]))
    return x[tuple(cuts)]


def _mask(mask: Any, rank: int) -> tuple[int, ...]:
    return (0,) * rank if mask is None else integers(mask)


def slice_by_size(x: Array, begin: Any, size: Any) -> Array:
    """``size`` values from ``begin`` a dimension; -1 means all that follow."""
    pairs = zip(integers(begin), integers(size), strict=True)
    return x[tuple(slice(first, None if count < 0 else first + count) for first, count in pairs)]


def tile(x: Array, reps: Any) -> Array:
    """``x`` repeated along each axis."""
    return np.tile(x, integers(reps))


def gather(
    x: Array, indices: Any, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False
) -> Array:
    """The values of ``x`` at ``indices`` along ``axis``."""
    del validate_indices  # numpy always does
    if batch_dims:
        raise ValueError("gather with batch_dims")
    return np.take(x, np.asarray(indices, np.int64), axis=axis)


def shape(x: Array) -> Array:
    """The sizes of ``x``."""
    return np.array(x.shape, np.int32)


def upsample_nearest_neighbor(
    x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Array:
    """``x`` (N, C, H, W) with every pixel repeated; whole factors only."""
    factors = (scale_factor_height, scale_factor_width)
    if any(factor != int(factor) for factor in factors):
        raise ValueError(f"upsampling by {factors}, which are no whole numbers")
    return x.repeat(int(factors[0]), axis=-2).repeat(int(factors[1]), axis=-1)


OPS = tuple(
    Op(function.__name__, function, exact=True)
    for function in (
        reshape, transpose, concat, stack, split, squeeze, expand_dims, pad, slice_by_index, slice_by_size, tile,
        gather, shape, upsample_nearest_neighbor,
    )
)  # fmt: skip
