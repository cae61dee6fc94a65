"""Pooling over sliding windows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op, integers
from edgefer.runtimes.mil.windows import padded, taps, windows

Combine = Callable[[Array, Array], Array]


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
    total = functools.reduce(np.add, (view for _, view in taps(padded(last, over), over)))
    if not exclude_padding_from_average:
        return np.moveaxis(total / np.float32(math.prod(over.kernel)), -1, 1)
    inside = padded(np.ones((1, *last.shape[1:-1], 1), np.float32), over)
    return np.moveaxis(total / functools.reduce(np.add, (view for _, view in taps(inside, over))), -1, 1)


OPS = (Op("max_pool", max_pool, exact=True), Op("avg_pool", avg_pool))
