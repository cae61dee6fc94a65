"""Matrix products."""

from __future__ import annotations

import numpy as np

from edgefer.runtimes.mil.operation import Array, Floats, Op


def linear(x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    """``x`` (..., in) times the transpose of ``weight`` (out, in)."""
    product: Floats = x @ weight.T
    if bias is not None:
        product += bias
    return product


def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    """Product over the last two axes, either side transposed on request; the others broadcast."""
    left = np.swapaxes(x, -1, -2) if transpose_x and x.ndim > 1 else x
    right = np.swapaxes(y, -1, -2) if transpose_y and y.ndim > 1 else y
    product: Array = np.matmul(left, right)
    return product


OPS = (Op("linear", linear), Op("matmul", matmul))
