"""Arithmetic, comparison and mathematical functions, element by element with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op

# Rational approximation of erf on -4..4 to float32's precision. Source: Eigen, MathFunctionsImpl.h.
_ERF_ABOVE = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
_ERF_BELOW = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip


def erf(x: Floats) -> Floats:
    """The error function."""
    inside = np.clip(x, np.float32(-4), np.float32(4))
    square = inside * inside
    return inside * _polynomial(_ERF_ABOVE, square) / _polynomial(_ERF_BELOW, square)


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + np.float32(coefficient)
    return total


def rsqrt(x: Floats, epsilon: float = 1e-12) -> Floats:
    """1 / sqrt(x + epsilon)."""
    found: Floats = 1 / np.sqrt(x + np.float32(epsilon))
    return found


def inverse(x: Floats, epsilon: float = 1e-4) -> Floats:
    """1 / (x + epsilon)."""
    found: Floats = np.float32(1) / (x + np.float32(epsilon))
    return found


def log(x: Floats, epsilon: float = 1e-45) -> Floats:
    """Natural logarithm of x + epsilon."""
    found: Floats = np.log(x + np.float32(epsilon))
    return found


def clip(x: Floats, alpha: float, beta: float) -> Floats:
    """``x`` kept within alpha..beta."""
    found: Floats = np.clip(x, np.float32(alpha), np.float32(beta))
    return found


def select(cond: Array, a: Array, b: Array) -> Array:
    """``a`` where the condition holds, else ``b``."""
    return np.where(cond, a, b)


def divide(x: Array, y: Array) -> Array:
    """``x / y``; integers are divided towards minus infinity."""
    whole = np.result_type(x, y).kind in "iu"
    return np.asarray(x // y if whole else x / y)


def _unary(id_: str, function: Callable[[Any], Any], *, exact: bool = False) -> Op:
    return Op(id_, lambda x: function(x), exact)


def _binary(id_: str, function: Callable[[Any, Any], Any], *, exact: bool = False) -> Op:
    return Op(id_, lambda x, y: function(x, y), exact)


_UNARY: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs, "ceil": np.ceil, "cos": np.cos, "erf": erf, "exp": np.exp, "exp2": np.exp2, "floor": np.floor,
    "logical_not": np.logical_not, "round": np.rint, "sign": np.sign, "sin": np.sin, "sqrt": np.sqrt,
    "square": np.square, "tanh": np.tanh,
}  # fmt: skip
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": divide, "floor_div": np.floor_divide,
    "mod": np.mod, "pow": np.power, "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or,
}  # fmt: skip

OPS = (
    *(_unary(name, function) for name, function in _UNARY.items()),
    *(_binary(name, function) for name, function in _BINARY.items()),
    _binary("maximum", np.maximum, exact=True),
    _binary("minimum", np.minimum, exact=True),
    Op("rsqrt", rsqrt),
    Op("inverse", inverse),
    Op("log", log),
    Op("clip", clip, exact=True),
    Op("select", select, exact=True),
    _unary("identity", lambda x: x, exact=True),
)
