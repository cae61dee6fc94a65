"""Activation functions."""

from __future__ import annotations

import numpy as np

from edgefer.runtimes.mil.operation import Floats, Op
from edgefer.runtimes.mil.ops.elementwise import erf


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, np.float32(0))


def relu6(x: Floats) -> Floats:
    """``x`` kept within 0..6."""
    return np.clip(x, np.float32(0), np.float32(6))


def clamped_relu(x: Floats, alpha: float, beta: float) -> Floats:
    """min(beta, x) for positive ``x``, else min(beta, alpha * x)."""
    return np.minimum(leaky_relu(x, alpha), np.float32(beta))


def leaky_relu(x: Floats, alpha: float) -> Floats:
    """``x`` if it is positive, else alpha * x."""
    return np.where(x >= 0, x, x * np.float32(alpha))


def prelu(x: Floats, alpha: Floats) -> Floats:
    """``leaky_relu`` with an alpha a channel (axis 1)."""
    return np.where(x >= 0, x, x * alpha.reshape(-1, *[1] * (x.ndim - 2)))


def elu(x: Floats, alpha: float) -> Floats:
    """``x`` if it is positive, else alpha * (exp(x) - 1)."""
    return np.where(x >= 0, x, np.float32(alpha) * np.expm1(np.minimum(x, np.float32(0))))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    half = np.float32(0.5)
    found: Floats = np.tanh(x * half)
    found *= half
    found += half
    return found


def silu(x: Floats) -> Floats:
    """x * sigmoid(x)."""
    found = sigmoid(x)
    found *= x
    return found


def sigmoid_hard(x: Floats, alpha: float = 0.2, beta: float = 0.5) -> Floats:
    """alpha * x + beta, kept within 0..1."""
    found: Floats = np.clip(linear_activation(x, alpha, beta), np.float32(0), np.float32(1))
    return found


def softplus(x: Floats) -> Floats:
    """log(1 + exp(x))."""
    found: Floats = np.logaddexp(x, np.float32(0))
    return found


def softsign(x: Floats) -> Floats:
    """x / (1 + abs(x))."""
    found: Floats = x / (1 + np.abs(x))
    return found


def linear_activation(x: Floats, alpha: float, beta: float = 0.0) -> Floats:
    """alpha * x + beta."""
    return x * np.float32(alpha) + np.float32(beta)


def gelu(x: Floats, mode: str = "EXACT") -> Floats:
    """x times the normal distribution at x, or one of its two approximations (Hendrycks and Gimpel 2016)."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * sigmoid(x * np.float32(1.702))
    if mode == "TANH_APPROXIMATION":
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
        found: Floats = x * (np.tanh(inner) + 1) * np.float32(0.5)
        return found
    return x * (erf(x * np.float32(np.sqrt(0.5))) + 1) * np.float32(0.5)


def softmax(x: Floats, axis: int = -1) -> Floats:
    """exp(x) divided by its sum along ``axis``."""
    odds: Floats = np.exp(x - x.max(axis=axis, keepdims=True))
    odds /= odds.sum(axis=axis, keepdims=True)
    return odds


OPS = (
    Op("relu", relu, exact=True),
    Op("relu6", relu6, exact=True),
    *(
        Op(function.__name__, function)
        for function in (
            clamped_relu, leaky_relu, prelu, elu, sigmoid, silu, sigmoid_hard, softplus, softsign,
            linear_activation, gelu, softmax,
        )
    ),
)  # fmt: skip
