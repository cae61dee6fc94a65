"""Scores of a classifier on a set of rows, and the hash that says which rows they were."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError
from edgefer.spec import Frozen, LabelSet


class ClassScore(Frozen, frozen=True):
    """Precision, recall and F1 of one class (0..1), and how many rows truly belong to it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


class Score(Frozen, frozen=True):
    """What a set of predictions is worth.

    ``weighted_*`` averages classes by their share of the rows (S0's protocol), ``macro_f1`` averages them
    equally. ``confusion[i][j]`` counts rows of class i predicted as j. ``rows_sha256`` identifies the rows.
    """

    n: int
    accuracy: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    macro_f1: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    rows_sha256: str

    def __post_init__(self) -> None:
        if {len(self.confusion), *map(len, self.confusion)} != {len(self.per_class)}:
            raise ValueError("confusion needs one row and one column a class")

    @property
    def macro_precision(self) -> float:
        """Mean precision of the classes."""
        return sum(each.precision for each in self.per_class) / len(self.per_class)

    @property
    def macro_recall(self) -> float:
        """Mean recall of the classes."""
        return sum(each.recall for each in self.per_class) / len(self.per_class)


def rows_sha256(pixels: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> str:
    """Hash images uint8 (N, H, W, C) and their class numbers (N,) in order.

    Raises:
        ValueError: the images are not uint8, or not as many as the labels.
    """
    if pixels.dtype != np.uint8 or len(pixels) != len(labels):
        raise ValueError(f"{len(pixels)} images of {pixels.dtype} with {len(labels)} labels")
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def score(labels: npt.NDArray[Any], predictions: npt.NDArray[Any], names: LabelSet, *, rows: str) -> Score:
    """Score predicted class numbers (N,) against true ones (N,); ``rows`` is their ``rows_sha256``.

    A class without true rows and without predictions scores 0, as in scikit-learn with ``zero_division=0``.

    Raises:
        InputError: there are no rows; a score of nothing would compare with everything.
        ValueError: unequal lengths, or a class number that is none (scikit-learn would leave it out).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    if not len(labels):
        raise InputError("no rows to score", hint="'edgefer data inspect' counts rows and leaked ones")
    every = np.arange(len(names))
    if not np.isin(np.concatenate([labels, predictions]), every).all():
        raise ValueError(f"class numbers must be 0..{len(names) - 1}")
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=every, average=None, zero_division=0
    )
    share = support / len(labels)
    per_class = tuple(
        ClassScore(name=name, precision=float(p), recall=float(r), f1=float(f), support=int(s))
        for name, p, r, f, s in zip(names.names, precision, recall, f1, support, strict=True)
    )
    matrix = confusion_matrix(labels, predictions, labels=every)
    return Score(
        n=len(labels),
        accuracy=float(np.mean(np.asarray(labels) == np.asarray(predictions))),
        weighted_precision=float(share @ precision),
        weighted_recall=float(share @ recall),
        weighted_f1=float(share @ f1),
        macro_f1=float(np.mean(f1)),
        per_class=per_class,
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
        rows_sha256=rows,
    )


RESAMPLES = 2000


def f1_intervals(
    labels: npt.NDArray[Any], predictions: npt.NDArray[Any], classes: int
) -> tuple[tuple[float, float], ...]:
    """95 % percentile bootstrap interval of each class's F1, rows (N,) being drawn anew.

    A resample without a true or predicted row of the class has an F1 of 0, as in ``score``. Fewer than two rows
    cannot be drawn otherwise than they are: both ends are the F1 itself.
    """
    from scipy.stats import bootstrap

    def f1(hit: Any, true: Any, said: Any, axis: int = -1) -> Any:
        total = true.sum(axis) + said.sum(axis)
        return np.divide(2 * hit.sum(axis), total, out=np.zeros_like(total), where=total > 0)

    intervals = []
    for number in range(classes):
        true, said = (np.asarray(values == number, np.float64) for values in (labels, predictions))
        if len(labels) < 2:
            only = float(f1(true * said, true, said))
            intervals.append((only, only))
            continue
        found = bootstrap(
            (true * said, true, said),
            f1,
            paired=True,
            n_resamples=RESAMPLES,
            batch=200,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        intervals.append((float(found.low), float(found.high)))
    return tuple(intervals)


def mcnemar_p(first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]) -> float:
    """Two-sided p of McNemar's exact test that two classifiers are right equally often on the same rows (N,).

    Source: McNemar 1947; exact binomial form on the rows that only one of them gets right.
    """
    from scipy.stats import binomtest

    only_first = int(np.sum(first_right & ~second_right))
    differing = int(np.sum(first_right != second_right))
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values for being several (Holm 1979); scipy offers the false discovery rate only."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, number in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, p[number] * (len(p) - rank)))
        adjusted[number] = largest
    return adjusted


CALIBRATION_BINS = 15


def calibration_gaps(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any], *, bins: int = CALIBRATION_BINS
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """For each row its bin by the probability of the predicted class, and right (0 or 1) minus that probability.

    There are ``bins`` equally wide bins (l, r]; probabilities are (N, K), labels and both results (N,).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    inner_edges = np.arange(1, bins) / bins
    return np.searchsorted(inner_edges, confidence, side="left"), right - confidence


def calibration_error(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any], *, bins: int = CALIBRATION_BINS
) -> float:
    """Expected calibration error (0..1) of class probabilities (N, K) against true class numbers (N,).

    The mean over rows of |share of right answers - mean probability| of the row's bin, as ``calibration_gaps`` bins
    them.

    Source: Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", with their 15 bins.

    Raises:
        InputError: there are no rows.
    """
    if not len(labels):
        raise InputError("no rows to score", hint="'edgefer data inspect' counts rows and leaked ones")
    number, gaps = calibration_gaps(probabilities, labels, bins=bins)
    sums = np.bincount(number, weights=gaps, minlength=bins)
    return float(np.abs(sums).sum() / len(labels))


def divergence(exact: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence in nats of probabilities ``other`` (N, classes) from ``exact``.

    An int8 softmax has no probabilities below 1/256; smaller ones count as half of that on both sides.
    """
    p, q = (np.maximum(np.asarray(v, np.float64), 1 / 512) for v in (exact, other))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return float(np.mean(np.sum(p * np.log(p / q), axis=1)))
