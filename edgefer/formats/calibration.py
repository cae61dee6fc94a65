"""Ranges of activations from histograms: which part of what was seen shall have an int8 code of its own.

A range that covers every value seen spends codes on rare outliers. The rules here cut them off, each by another
measure, and never reach beyond what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgefer.quantization import HIGHEST, LEVELS, Affine, Range, affine, rounded, symmetric

Method = Literal["minmax", "percentile", "mse", "entropy"]
Vector = npt.NDArray[np.float64]
# Makes one more pass over the calibration images: the activations of an image, or of a few, by the tensor's key.
Passes = Callable[[], Iterable[Mapping[Any, npt.NDArray[np.float32]]]]

BINS = 2048
PERCENTILE = 99.99  # of the values of a tensor lie below the upper end, and as many above the lower
_STEPS = 64  # ends that the search for the smallest squared error looks at, on each side


@dataclass(frozen=True)
class Histogram:
    """How often values of a tensor were seen in equally wide bins between ``low`` and ``high``: counts (BINS,)."""

    low: float
    high: float
    counts: Vector

    @property
    def edges(self) -> Vector:
        """Borders of the bins, (BINS + 1,)."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> Vector:
        """Middles of the bins, (BINS,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2


Rules = Mapping[Method, Callable[[Histogram], Range]]
"""How each method but ``minmax`` cuts a histogram, for a quantizer of one kind: ``AFFINE`` or ``SYMMETRIC``."""


def ranges(passes: Passes, method: Method, rules: Rules, *, whole: Collection[Any] = ()) -> dict[Any, Range]:
    """The range of every tensor that ``passes`` yields, from two passes over the images (one for ``minmax``).

    ``rules`` are those of the quantizer that will use the ranges. Tensors in ``whole`` keep all that was seen: the two
    ends of a network, where codes have a meaning outside.
    """
    seen = _extremes(passes())
    if method == "minmax":
        return seen
    histograms = _histograms(passes(), {key: one for key, one in seen.items() if key not in whole})
    return seen | {key: choose(histogram, method, rules) for key, histogram in histograms.items()}


def choose(histogram: Histogram, method: Method, rules: Rules) -> Range:
    """The range that ``method`` gives a tensor; it lies inside the histogram's and holds 0 if that does."""
    whole = Range(histogram.low, histogram.high)
    if method == "minmax" or not histogram.low < histogram.high:
        return whole
    return rules[method](histogram)


def by_percentile(histogram: Histogram, percentile: float = PERCENTILE) -> Range:
    """Leave out the share 1 - percentile / 100 of the values at each end."""
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)]) / histogram.counts.sum()
    share = 1.0 - percentile / 100.0
    edges = histogram.edges
    low = edges[np.searchsorted(below, share, side="right") - 1]
    high = edges[np.searchsorted(below, 1.0 - share, side="left")]
    return _with_zero(low, high, histogram)


def by_squared_error(histogram: Histogram) -> Range:
    """The ends with the smallest mean squared error of rounding and clipping, the upper one found first.

    Either end moves on a grid from where it was towards 0 (or, where 0 was not seen, towards the other end).
    """
    whole = _with_zero(histogram.low, histogram.high, histogram)
    shares = np.arange(_STEPS, 0, -1) / _STEPS
    highs = [whole.high * share for share in shares] if whole.high > 0 else [whole.high]
    high = min(highs, key=lambda end: squared_error(histogram, Range(whole.low, end)))
    lows = [whole.low * share for share in shares] if whole.low < 0 else [whole.low]
    low = min(lows, key=lambda end: squared_error(histogram, Range(end, high)))
    return _with_zero(low, high, histogram)


def by_symmetric_error(histogram: Histogram) -> Range:
    """The magnitude with the smallest mean squared error of rounding and clipping where codes are symmetric."""
    largest = max(abs(histogram.low), abs(histogram.high))
    limits = [largest * share for share in np.arange(_STEPS, 0, -1) / _STEPS]
    return _clipped(
        min(limits, key=lambda limit: squared_error(histogram, Range(-limit, limit), symmetric)), histogram
    )


def squared_error(histogram: Histogram, kept: Range, codes: Callable[[Range], Affine] = affine) -> float:
    """Mean squared error of the values, each at its bin's centre, as int8 over ``kept``, as ``codes`` widen it."""
    error = rounded(histogram.centres, codes(kept)) - histogram.centres
    return float(histogram.counts @ error**2 / histogram.counts.sum())


def by_entropy(histogram: Histogram) -> Range:
    """Clip at the magnitude whose quantized distribution has the smallest Kullback-Leibler divergence from the true.

    Source: Migacz 2017, "8-bit Inference with TensorRT", there for symmetric int8 with 128 magnitudes. Here a clipped
    tensor has as many magnitudes as its side of an asymmetric range has codes: 256 if it is never negative. The
    first bin, full of what a ReLU cut off, is given its neighbour's count, or it would decide alone.
    """
    width = max(abs(histogram.low), abs(histogram.high)) / BINS
    sides = (max(-histogram.low, 0.0), max(histogram.high, 0.0))

    def levels(bins: int) -> int:
        clipped = [min(side, bins * width) for side in sides]
        return round(LEVELS * max(clipped) / sum(clipped))

    return _least_divergent(histogram, levels)


def by_symmetric_entropy(histogram: Histogram) -> Range:
    """As ``by_entropy``, with the 128 magnitudes of the source."""
    return _least_divergent(histogram, lambda _bins: HIGHEST + 1)


def _least_divergent(histogram: Histogram, levels: Callable[[int], int]) -> Range:
    """Clip where so many bins, merged into as many as ``levels`` says, diverge least from the true distribution."""
    magnitudes, width = _magnitudes(histogram)
    candidates = [bins for bins in range(LEVELS // 2, BINS + 1, 16) if bins >= levels(bins)]
    best = min(reversed(candidates), key=lambda bins: _divergence(magnitudes, bins, levels(bins)))
    return _clipped(best * width, histogram)


def _clipped(limit: float, histogram: Histogram) -> Range:
    return _with_zero(max(histogram.low, -limit), min(histogram.high, limit), histogram)


def _magnitudes(histogram: Histogram) -> tuple[Vector, float]:
    """Counts (BINS,) of absolute values, and the width of a bin."""
    largest = max(abs(histogram.low), abs(histogram.high))
    counts, _ = np.histogram(
        np.abs(histogram.centres), bins=BINS, range=(0.0, largest), weights=histogram.counts
    )
    counts[0] = counts[1]
    return counts, largest / BINS


def _divergence(counts: Vector, bins: int, levels: int) -> float:
    """Kullback-Leibler divergence of the first ``bins`` bins merged into ``levels`` from those clipped there."""
    true = counts[:bins].copy()
    true[-1] += counts[bins:].sum()
    if not counts[:bins].any():
        return np.inf
    group = np.arange(bins) * levels // bins
    filled = counts[:bins] > 0
    size = np.bincount(group, weights=filled, minlength=levels)
    merged = np.bincount(group, weights=counts[:bins], minlength=levels)
    spread = np.where(filled, (merged / np.maximum(size, 1))[group], 0.0)
    true, spread = true / true.sum(), spread / spread.sum()
    held = true > 0
    # What only the clipped tail put there has no counterpart; a tiny one makes it dear, not impossible.
    return float(np.sum(true[held] * np.log(true[held] / np.maximum(spread[held], 1e-6))))


def _with_zero(low: float, high: float, histogram: Histogram) -> Range:
    """Ends inside the histogram's, and 0 between them where it lies there."""
    low, high = float(max(low, histogram.low)), float(min(high, histogram.high))
    return Range(
        min(low, max(0.0, histogram.low)) if histogram.high >= 0 else low,
        max(high, min(0.0, histogram.high)) if histogram.low <= 0 else high,
    )


AFFINE: Rules = {"percentile": by_percentile, "mse": by_squared_error, "entropy": by_entropy}
"""For quantizers that give each range all 256 codes: TFLite's and ONNX Runtime's."""

SYMMETRIC: Rules = {"percentile": by_percentile, "mse": by_symmetric_error, "entropy": by_symmetric_entropy}
"""For quantizers whose codes reach as far below 0 as above it: Core ML's."""


def _extremes(batches: Iterable[Mapping[Any, npt.NDArray[np.float32]]]) -> dict[Any, Range]:
    found: dict[Any, Range] = {}
    for batch in batches:
        for key, values in batch.items():
            low, high = float(values.min()), float(values.max())
            before = found.get(key, Range(low, high))
            found[key] = Range(min(low, before.low), max(high, before.high))
    return found


def _histograms(
    batches: Iterable[Mapping[Any, npt.NDArray[np.float32]]], seen: Mapping[Any, Range]
) -> dict[Any, Histogram]:
    counts = {key: np.zeros(BINS) for key in seen}
    for batch in batches:
        for key, one in seen.items():
            counts[key] += np.histogram(batch[key], bins=BINS, range=_proper(one))[0]
    return {key: Histogram(*seen[key], counts[key]) for key in seen}


def _proper(seen: Range) -> tuple[float, float]:
    """A range numpy can divide into bins; a tensor that is constant is not looked at any further."""
    return (seen.low, seen.high) if seen.low < seen.high else (seen.low - 0.5, seen.low + 0.5)
