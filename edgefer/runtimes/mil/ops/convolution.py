"""Convolution: unrolled windows and one matrix product, or for one channel a group shifted multiply-adds.

Transposed, each value spreads over the window that a convolution would gather it from.

Data stays channels-last in memory, where both are fastest; MIL's channels-first arrays are views of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op, integers
from edgefer.runtimes.mil.windows import Windows, padded, taps, windows

# A quarter of a megabyte of float32, which a core's own cache holds.
CACHED_VALUES = 1 << 16


def conv(
    x: Floats,
    weight: Floats,
    bias: Floats | None = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: int = 1,
) -> Floats:
    """Cross-correlation of ``x`` (N, C, spatial...) with ``weight`` (out, C / groups, spatial...)."""
    over = windows(
        x.shape[2:], weight.shape[2:], strides=strides, dilations=dilations, pad_type=pad_type, pad=pad
    )
    last = padded(np.moveaxis(x, 1, -1), over)
    if groups == 1:
        found = _dense(last, weight, over)
    elif weight.shape[1] == 1:
        found = _depthwise(last, weight, over)
    else:
        parts = zip(np.split(last, groups, axis=-1), np.split(weight, groups), strict=True)
        found = np.concatenate([_dense(*part, over) for part in parts], axis=-1)
    if bias is not None:
        found += bias
    return np.moveaxis(found, -1, 1)


def _dense(x: Array, weight: Floats, over: Windows) -> Floats:
    """All channels to all channels; ``x`` is padded and channels-last, and so is the result."""
    outputs, channels = weight.shape[:2]
    matrix = np.moveaxis(weight, (0, 1), (-1, -2)).reshape(-1, outputs)
    rows = x if math.prod(over.kernel) == 1 and set(over.strides) == {1} else _unrolled(x, over)
    product: Floats = rows.reshape(-1, channels * math.prod(over.kernel)) @ matrix
    return product.reshape(len(x), *over.counts, outputs)


def _unrolled(x: Array, over: Windows) -> Array:
    """(N, windows..., taps, C): every window's values beside each other."""
    columns = np.empty((len(x), *over.counts, math.prod(over.kernel), x.shape[-1]), x.dtype)
    for number, (_, view) in enumerate(taps(x, over)):
        columns[..., number, :] = view
    return columns


def _depthwise(x: Array, weight: Floats, over: Windows) -> Floats:
    """Each channel by itself, to one or more of its own; a few images at a time, so that sums stay in the cache."""
    multiplier = len(weight) // x.shape[-1]
    source = x if multiplier == 1 else np.repeat(x, multiplier, axis=-1)
    total = np.zeros((len(x), *over.counts, len(weight)), np.float32)
    rows = max(1, CACHED_VALUES // total[0].size)
    for start in range(0, len(x), rows):
        _add_taps(total[start : start + rows], source[start : start + rows], weight, over)
    return total


def _add_taps(total: Floats, source: Array, weight: Floats, over: Windows) -> None:
    product = np.empty_like(total)
    kernel = np.moveaxis(weight[:, 0], 0, -1)
    for place, view in taps(source, over):
        np.multiply(view, kernel[place], out=product)
        total += product


def conv_transpose(
    x: Floats,
    weight: Floats,
    bias: Floats | None = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: int = 1,
    output_shape: Any = None,
) -> Floats:
    """Spread ``x`` (N, C, spatial...) with ``weight`` (C, out / groups, spatial...): what ``conv`` does, backwards."""
    rank = x.ndim - 2
    steps = (1,) * rank if strides is None else integers(strides)
    spread = (1,) * rank if dilations is None else integers(dilations)
    spans = [(size - 1) * gap + 1 for size, gap in zip(weight.shape[2:], spread, strict=True)]
    edges = integers(pad) if pad_type == "custom" else (0,) * 2 * rank
    sizes = [
        size * step if pad_type == "same" else (size - 1) * step + span - before - after
        for size, step, span, before, after in zip(
            x.shape[2:], steps, spans, edges[::2], edges[1::2], strict=True
        )
    ]
    if output_shape is not None:
        sizes = list(integers(output_shape)[2:])
    over = windows(sizes, weight.shape[2:], strides=steps, dilations=spread, pad_type=pad_type, pad=pad)
    if over.counts != x.shape[2:]:
        raise ValueError(f"{x.shape[2:]} values do not spread over {tuple(sizes)}")
    found = _cropped(_spread(np.moveaxis(x, 1, -1), weight, over, sizes, groups), over, sizes)
    if bias is not None:
        found += bias
    return np.moveaxis(found, -1, 1)


def _spread(last: Array, weight: Floats, over: Windows, sizes: Sequence[int], groups: int) -> Floats:
    """The sum (N, spatial..., out), with the padding around it, of what every value spreads."""
    framed = [size + sum(edges) for size, edges in zip(sizes, over.padding, strict=True)]
    total = np.zeros((len(last), *framed, weight.shape[1] * groups), np.float32)
    values = np.split(last, groups, axis=-1)
    kernels = [np.moveaxis(each, (0, 1), (-2, -1)) for each in np.split(weight, groups)]
    for place, view in taps(total, over):
        parts = zip(values, kernels, strict=True)
        view += np.concatenate([value @ kernel[place] for value, kernel in parts], axis=-1)
    return total


def _cropped(total: Floats, over: Windows, sizes: Sequence[int]) -> Floats:
    within = (slice(before, before + size) for (before, _), size in zip(over.padding, sizes, strict=True))
    return total[(slice(None), *within)]


def channels_last(weight: Array) -> Array:
    """The same ``weight`` (out, in, spatial...), in memory (spatial..., in, out) as a matrix product reads it."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2))), (-1, -2), (0, 1))


OPS = (Op("conv", conv, layouts={"weight": channels_last}), Op("conv_transpose", conv_transpose))
