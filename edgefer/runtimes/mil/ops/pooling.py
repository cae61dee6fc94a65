"""Pooling over sliding windows."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op, integers
from edgefer.runtimes.mil.windows import Windows, padded, taps, windows


def max_pool(
    x: Floats, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None,
    ceil_mode: bool = False,
) -> Floats:  # fmt: skip
    """The largest value in each window of ``x`` (N, C, spatial...); padding never is."""
    over = windows(
        x.shape[2:], integers(kernel_sizes), strides=strides, pad_type=pad_type, pad=pad, ceil_mode=ceil_mode
    )
    last = padded(np.moveaxis(x, 1, -1), over, -np.inf)
    return np.moveaxis(functools.reduce(np.maximum, (view for _, view in taps(last, over))), -1, 1)


def avg_pool(
    x: Floats, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None,
    exclude_padding_from_average: bool = False, ceil_mode: bool = False,
) -> Floats:  # fmt: skip
    """The mean of each window of ``x`` (N, C, spatial...), padding counted as zeros or left out."""
    over = windows(
        x.shape[2:], integers(kernel_sizes), strides=strides, pad_type=pad_type, pad=pad, ceil_mode=ceil_mode
    )
    last = np.moveaxis(x, 1, -1)
    mean: Floats = _sum(padded(last, over), over)
    if exclude_padding_from_average:
        mean /= _sum(padded(np.ones((1, *last.shape[1:-1], 1), np.float32), over), over)
    else:
        mean /= np.float32(math.prod(over.kernel))
    return np.moveaxis(mean, -1, 1)


def _sum(x: Array, over: Windows) -> Floats:
    return functools.reduce(np.add, (view for _, view in taps(x, over)), np.zeros((), np.float32))


OPS = (Op("max_pool", max_pool, exact=True), Op("avg_pool", avg_pool))
