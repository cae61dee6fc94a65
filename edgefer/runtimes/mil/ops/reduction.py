"""Sums, means and extremes along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op, integers


def _reduction(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduce(x: Array, axes: Any = None, keep_dims: bool = False) -> Array:
        over = None if axes is None else integers(axes)
        return np.asarray(function(x, axis=over, keepdims=bool(keep_dims)))

    return reduce


def _sum_square(x: Floats, **how: Any) -> Any:
    return np.square(x).sum(**how)


def _l2_norm(x: Floats, **how: Any) -> Any:
    return np.sqrt(_sum_square(x, **how))


def _log_sum_exp(x: Floats, axis: Any, keepdims: bool) -> Any:
    peak = x.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x - peak).sum(axis=axis, keepdims=True)) + peak
    return total if keepdims else np.squeeze(total, axis=axis)


def reduce_argmax(x: Array, axis: int = -1, keep_dims: bool = False) -> Array:
    """Where along ``axis`` the largest value stands."""
    return np.asarray(np.argmax(x, axis=axis, keepdims=bool(keep_dims)), np.int32)


_ROUNDING: dict[str, Callable[..., Any]] = {
    "reduce_mean": np.mean,
    "reduce_sum": np.sum,
    "reduce_prod": np.prod,
    "reduce_sum_square": _sum_square,
    "reduce_l2_norm": _l2_norm,
    "reduce_log_sum_exp": _log_sum_exp,
}

OPS = (
    *(Op(name, _reduction(function)) for name, function in _ROUNDING.items()),
    Op("reduce_max", _reduction(np.max), exact=True),
    Op("reduce_min", _reduction(np.min), exact=True),
    Op("reduce_argmax", reduce_argmax, exact=True),
)
