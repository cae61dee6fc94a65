"""The arithmetic of 8-bit quantization as TensorFlow Lite specifies it: int8, weights symmetric, activations not.

Source: TensorFlow Lite 8-bit quantization specification; Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LOWEST, HIGHEST = -128, 127
LEVELS = HIGHEST - LOWEST + 1

Floats = npt.NDArray[np.float32]


class Range(NamedTuple):
    """Lowest and highest value that is represented; what lies outside becomes the nearer end."""

    low: float
    high: float


class Affine(NamedTuple):
    """What codes stand for: value = (code - zero_point) * scale."""

    scale: float
    zero_point: int


def affine(kept: Range) -> Affine:
    """Codes -128..127 for ``kept``, widened to hold 0, which is exactly one of the codes' values."""
    low, high = min(kept.low, 0.0), max(kept.high, 0.0)
    # A range too narrow for float32 to divide is one of zeros.
    scale = max((high - low) / (LEVELS - 1), float(np.finfo(np.float32).tiny))
    return Affine(scale, int(np.clip(np.round(LOWEST - low / scale), LOWEST, HIGHEST)))


def symmetric(kept: Range) -> Affine:
    """Codes -127..127 for ``kept``, widened to reach as far below 0 as above it; code 0 is 0."""
    largest = max(abs(kept.low), abs(kept.high))
    return Affine(max(largest / HIGHEST, float(np.finfo(np.float32).tiny)), 0)


def rounded(values: npt.NDArray[np.floating], to: Affine) -> npt.NDArray[np.float64]:
    """The represented values nearest to ``values``, of the same shape."""
    codes = np.clip(np.round(np.asarray(values, np.float64) / to.scale) + to.zero_point, LOWEST, HIGHEST)
    result: npt.NDArray[np.float64] = (codes - to.zero_point) * to.scale
    return result


def rounded_weights(weights: npt.NDArray[np.floating], channels: tuple[int, ...]) -> Floats:
    """Weights as int8 -127..127 stands for them, one scale for each index along the axes ``channels``."""
    others = tuple(axis for axis in range(weights.ndim) if axis not in channels)
    largest = np.abs(np.asarray(weights, np.float64)).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest, 1.0) / HIGHEST
    result: Floats = (np.round(weights / scale) * scale).astype(np.float32)
    return result
