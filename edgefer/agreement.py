"""Do an artifact's answers still agree with its backbone's? numpy only: a device judges itself with it, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgefer.contract import Golden
from edgefer.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What still counts as the same: the largest probability difference of all; the mean over rows of each row's
    largest difference; and the smallest share of decided rows with the same top-1 class.
    """

    max_abs: float
    row_mean: float
    top1: float


# How far an honest conversion of a trained network may be from it, per precision. The common errors (a wrong input
# range, colour order or label order) move golden rows by 0.5 and more on average and flip most of them.
TOLERANCES: dict[str, Tolerance] = {
    # float32 sums in another order: 1e-6 a layer, some hundred layers.
    "fp32": Tolerance(max_abs=1e-4, row_mean=1e-4, top1=1.0),
    "sparse-fp32": Tolerance(max_abs=1e-4, row_mean=1e-4, top1=1.0),
    # 11 significant bits (5e-4 relative) in weights, and in activations too in ONNX and Core ML: over a hundred layers
    # a few parts in a thousand on average, some ten times that in the worst row.
    "fp16": Tolerance(max_abs=0.03, row_mean=0.01, top1=0.93),
    # int8 weights cost most of what int8 costs; int16 activations add next to nothing.
    "int16x8": Tolerance(max_abs=1.0, row_mean=0.12, top1=0.8),
    # 8-bit weights and activations: a step is 1/256 of a tensor's range and errors add up over layers, so that a row
    # near a decision may flip altogether, two or three of sixteen; the mean stays small.
    "int8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "dynamic": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    # The same in Core ML's terms.
    "w8a8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    # 256, 64 or 16 weight values a layer.
    "pal8": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "pal6": Tolerance(max_abs=1.0, row_mean=0.15, top1=0.8),
    "pal4": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
    # 16 values for eight channels; and 64 for what is left when the smallest weights are zero, which moved golden rows
    # of a trained network by 0.08 on average, where rounding to 64 values alone moves them by 0.006.
    "pal4g": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
    "sparse-pal6": Tolerance(max_abs=1.0, row_mean=0.3, top1=0.6),
}

# Golden outputs closer together than this would also "agree" with a broken file.
MIN_SPREAD = 0.1
# Where the backbone's own two best classes are closer than this it has not decided, and any rounding may turn them:
# such a row counts for the error, not for top-1.
DECIDED = 0.1


@dataclass(frozen=True)
class Agreement:
    """How far answers are from the backbone's; ``broken`` says why that is too far, or is empty."""

    max_abs: float
    row_mean: float
    top1: float
    tolerance: Tolerance
    broken: str


def spread_of(outputs: npt.NDArray[np.float32]) -> float:
    """The largest range of one class's probability over golden outputs (N, classes)."""
    return float(np.max(np.ptp(outputs, axis=0))) if len(outputs) else 0.0


def lacks_proof(golden: Golden) -> str:
    """Why agreement on these golden outputs would prove nothing, or ""."""
    spread = spread_of(golden.outputs)
    if spread < MIN_SPREAD:
        return f"golden outputs are nearly constant (spread {spread:.4f}): agreement on them proves nothing"
    if len(set(golden.outputs[_decided(golden.outputs)].argmax(axis=1).tolist())) < 2:
        return "golden outputs do not clearly name two classes: agreement on them proves nothing"
    return ""


def _decided(outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Rows (N,) of probabilities (N, classes) whose best class stands clear of the second."""
    best = np.sort(outputs, axis=1)
    clear: npt.NDArray[np.bool_] = best[:, -1] - best[:, -2] >= DECIDED
    return clear


def compare(
    format_id: str, expected: npt.NDArray[np.float32], answered: npt.NDArray[np.float32]
) -> Agreement:
    """Hold probabilities (N, classes) against the backbone's, within the tolerance of the format's precision.

    Raises:
        InputError: there is none for this format.
    """
    if not (tolerance := TOLERANCES.get(format_id.partition("-")[2])):
        raise InputError(f"unknown format {format_id!r}", hint="use the edgefer that made the file")
    rows = np.max(np.abs(answered - expected), axis=1)
    max_abs, row_mean = float(np.max(rows)), float(np.mean(rows))
    same = answered.argmax(axis=1) == expected.argmax(axis=1)
    top1 = float(np.mean(same[_decided(expected)]))
    # NaN is never close.
    close = max_abs <= tolerance.max_abs and row_mean <= tolerance.row_mean
    broken = not close or top1 < tolerance.top1
    reason = "outputs differ from the backbone's by more than the tolerance" if broken else ""
    return Agreement(max_abs, row_mean, top1, tolerance, reason)
