"""What a difference of two classifiers on the same rows could have been with other rows.

Source of the paired bootstrap: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13: rows
are drawn with replacement, once for both classifiers, and the interval is between percentiles of the redrawn
differences.

All figures are functions of sums over rows, so a redrawn figure is that function of a weighted sum: one matrix product
for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.gating.record import Interval
from edgefer.metrics import CALIBRATION_BINS, calibration_gaps
from edgefer.preprocessing import Floats

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]

RESAMPLES = 2000
# Rows times redrawings at a time: enough to keep the product busy, some tens of megabytes.
AT_A_TIME = 1_000_000
Z95 = 1.959964


class Figures(NamedTuple):
    """Figures of one classifier, each for every redrawing (B,): class F1 (B, K) and calibration error, 0..1."""

    weighted_f1: Values
    macro_f1: Values
    class_f1: Values
    calibration_error: Values


class Drops(NamedTuple):
    """Baseline minus artifact in points, with intervals; ``calibration`` is artifact minus baseline."""

    weighted: Interval
    macro: Interval
    classes: tuple[Interval, ...]
    calibration: Interval


@dataclass(frozen=True)
class Pair:
    """Probabilities float32 (N, K) of baseline and artifact for the same rows, and their true class numbers (N,)."""

    labels: Numbers
    before: Floats
    after: Floats

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.before.shape[1])


def drops(pair: Pair, *, seed: int = 0) -> Drops:
    """All differences of a pair with 95 % intervals.

    A bootstrap knows only the changes it has seen: where few rows differ, or none, its interval shrinks to nothing. So
    every interval of an F1 gets the variance of one more row lost and one more won.

    Source of that adjustment: Bonett and Price 2012, "Adjusted Wald Confidence Interval for a Difference of Binomial
    Proportions Based on Paired Data", which adds 1 to either count of differing rows.
    """
    before, after = (_columns(answers, pair.labels) for answers in (pair.before, pair.after))
    seen = [_figures(table.sum(axis=0)[None]) for table in (before, after)]
    redrawn = _redraw(before, after, seed)
    steps = _steps(pair)
    value, drawn = _pair(seen, redrawn, "class_f1")
    return Drops(
        # A row lost moves weighted F1 by (2 - F1 of its class + F1 of the other) / 2N, about 1 / N.
        weighted=_interval(*_pair(seen, redrawn, "weighted_f1"), 1 / len(pair)),
        macro=_interval(*_pair(seen, redrawn, "macro_f1"), _macro_step(pair, steps)),
        classes=tuple(_interval(*each) for each in zip(value.T, drawn.T, steps, strict=True)),
        calibration=_interval(*_pair(seen[::-1], redrawn[::-1], "calibration_error"), 0.0),
    )


def _steps(pair: Pair) -> Values:
    """The most that one row more or less moves the F1 of each class (K,): 2 / (its rows + answers)."""
    classes = np.arange(pair.classes)
    true, *said = (
        (each[:, None] == classes).sum(axis=0)
        for each in (pair.labels, pair.before.argmax(axis=1), pair.after.argmax(axis=1))
    )
    return np.asarray(2 / np.maximum(true + np.maximum(*said), 2), np.float64)


def _macro_step(pair: Pair, steps: Values) -> float:
    """How far one row moves macro F1 (root mean square), falling into a class as often as the class's rows do."""
    shares = np.bincount(pair.labels, minlength=pair.classes) / len(pair)
    return float(np.sqrt(np.sum(shares * steps**2)) / pair.classes)


def _pair(seen: list[Figures], redrawn: list[Figures], name: str) -> tuple[Values, Values]:
    """First minus second in points: as seen (1, ...), and redrawn (B, ...)."""
    once, often = (100 * (getattr(each[0], name) - getattr(each[1], name)) for each in (seen, redrawn))
    return once, often


def _interval(value: Values, drawn: Values, step: float) -> Interval:
    """The percentile interval, widened by two rows that move the value by ``step`` (0..1) each; within -100..100."""
    low, high = (float(each) for each in np.quantile(drawn, (0.025, 0.975)))
    middle, more = float(value[0]), 100 * Z95 * math.sqrt(2) * float(step)
    return Interval(
        value=middle,
        low=max(middle - math.hypot(max(middle - low, 0.0), more), -100.0),
        high=min(middle + math.hypot(max(high - middle, 0.0), more), 100.0),
    )


def _redraw(before: Values, after: Values, seed: int) -> list[Figures]:
    """The figures of both for ``RESAMPLES`` redrawings of the same rows."""
    random, rows = np.random.default_rng(seed), len(before)
    both = np.concatenate([before, after], axis=1).astype(np.float32)
    chunk = max(1, min(RESAMPLES, AT_A_TIME // rows))
    sums = []
    for start in range(0, RESAMPLES, chunk):
        count = min(chunk, RESAMPLES - start)
        drawn = random.integers(rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        counts = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        sums.append(counts.astype(np.float32) @ both)
    halves = np.split(np.concatenate(sums).astype(np.float64), 2, axis=1)
    return [_figures(half) for half in halves]


def _columns(answers: Floats, labels: Numbers) -> Values:
    """What a row adds to the sums (N, 3 K + bins): hits, true rows and answers of each class, calibration gaps."""
    classes = np.arange(answers.shape[1])
    true = labels[:, None] == classes
    said = answers.argmax(axis=1)[:, None] == classes
    bins, gaps = calibration_gaps(answers, labels)
    spread = np.zeros((len(labels), CALIBRATION_BINS))
    spread[np.arange(len(labels)), bins] = gaps
    return np.concatenate([true & said, true, said, spread], axis=1)


def _figures(sums: Values) -> Figures:
    """Figures (B, ...) of sums (B, 3 K + bins)."""
    classes = (sums.shape[1] - CALIBRATION_BINS) // 3
    hits, true, said, gaps = np.split(sums, [classes, 2 * classes, 3 * classes], axis=1)
    rows, total = true.sum(axis=1), true + said
    f1 = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
    return Figures(
        weighted_f1=(f1 * true).sum(axis=1) / rows,
        macro_f1=f1.mean(axis=1),
        class_f1=f1,
        calibration_error=np.abs(gaps).sum(axis=1) / rows,
    )
