"""Normalisation by stored or by the input's own statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op, integers


def batch_norm(
    x: Floats, mean: Floats, variance: Floats, gamma: Floats | None = None, beta: Floats | None = None,
    epsilon: float = 1e-5,
) -> Floats:  # fmt: skip
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` a channel (axis 1)."""
    scale = 1 / np.sqrt(variance + np.float32(epsilon))
    if gamma is not None:
        scale = scale * gamma
    offset = -mean * scale if beta is None else beta - mean * scale
    return x * _channels(scale, x) + _channels(offset, x)


def instance_norm(
    x: Floats, gamma: Floats | None = None, beta: Floats | None = None, epsilon: float = 1e-5
) -> Floats:
    """Each image's channel by its own mean and variance."""
    found = layer_norm(x, tuple(range(2, x.ndim)), epsilon=epsilon)
    if gamma is not None:
        found *= _channels(gamma, x)
    if beta is not None:
        found += _channels(beta, x)
    return found


def layer_norm(
    x: Floats, axes: Any, gamma: Floats | None = None, beta: Floats | None = None, epsilon: float = 1e-5
) -> Floats:
    """``x`` by its mean and variance over ``axes``, which ``gamma`` and ``beta`` have the shape of."""
    over = integers(axes)
    centred = x - x.mean(axis=over, keepdims=True)
    found: Floats = centred / np.sqrt(np.square(centred).mean(axis=over, keepdims=True) + np.float32(epsilon))
    if gamma is not None:
        found *= _spread(gamma, x, over)
    if beta is not None:
        found += _spread(beta, x, over)
    return found


def l2_norm(x: Floats, epsilon: float = 1e-6) -> Floats:
    """``x`` divided by its length over the last three axes."""
    length = np.sqrt(np.square(x).sum(axis=(-3, -2, -1), keepdims=True) + np.float32(epsilon))
    found: Floats = x / length
    return found


def _channels(vector: Array, x: Array) -> Array:
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def _spread(parameter: Array, x: Array, axes: tuple[int, ...]) -> Array:
    kept = {axis % x.ndim for axis in axes}
    return parameter.reshape([size if axis in kept else 1 for axis, size in enumerate(x.shape)])


OPS = tuple(Op(function.__name__, function) for function in (batch_norm, instance_norm, layer_norm, l2_norm))
