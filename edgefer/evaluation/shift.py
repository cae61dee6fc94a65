"""Label shift: which class shares a second data set has, and whether they explain what a classifier loses there.

Under pure label shift only the classes' shares move; the faces within a class, and with them each class's recall,
stay. That is what the estimates assume and what ``recall_changes`` tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.metrics import holm
from edgefer.preprocessing import Floats
from edgefer.spec import Frozen

Shares = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

EM_STEPS = 10_000
EM_TOLERANCE = 1e-7
# A class the reference lacks has share 0 there, and a ratio to it has no value.
SMALLEST_SHARE = 1e-6
# What float32 softmax rounds to 0 has no logarithm.
SMALLEST_PROBABILITY = 1e-9


def class_shares(labels: npt.NDArray[Any], classes: int) -> Shares:
    """Share (classes,) of each class number among labels (N,)."""
    return np.bincount(labels, minlength=classes) / len(labels)


@dataclass(frozen=True)
class Scaling:
    """Makes a classifier's probabilities honest: log p becomes ``factor`` * log p + ``bias``, bias being (K,)."""

    factor: float
    bias: Shares

    def apply(self, probabilities: Floats) -> Floats:
        """The scaled probabilities (N, K)."""
        from scipy.special import softmax

        logits = self.factor * _logarithms(probabilities) + self.bias
        return np.asarray(softmax(logits, axis=1), np.float32)


def fit_scaling(probabilities: Floats, labels: npt.NDArray[Any]) -> Scaling:
    """Fit a scaling to labelled rows (N, K), (N,) that training did not see, by maximum likelihood.

    Estimates of shares take probabilities at their word: a class that is given a little of every row, and rarely
    is the answer, leads them astray.

    Source: Alexandari, Kundaje, Shrikumar 2020, "Maximum Likelihood with Bias-Corrected Calibration is
    Hard-To-Beat at Label Shift Adaptation": bias-corrected temperature scaling.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    logs, classes = _logarithms(probabilities), probabilities.shape[1]
    wanted = np.eye(classes)[labels]

    def loss(x: Shares) -> tuple[float, Shares]:
        log_p = log_softmax(x[0] * logs + x[1:], axis=1)
        excess = (np.exp(log_p) - wanted) / len(labels)
        gradient = np.concatenate([[np.sum(excess * logs)], excess.sum(axis=0)])
        return float(-np.sum(wanted * log_p) / len(labels)), gradient

    # Bounds keep finite what has no optimum: the bias of a class without rows, the factor of a perfect classifier.
    bounds = [(0.01, 100.0), *[(-20.0, 20.0)] * classes]
    best = minimize(loss, np.r_[1.0, np.zeros(classes)], jac=True, method="L-BFGS-B", bounds=bounds).x
    return Scaling(float(best[0]), np.asarray(best[1:], np.float64))


def em_shares(probabilities: Floats, trained: Shares) -> Shares:
    """Class shares (K,) of unlabelled rows, from a classifier's probabilities (N, K) for them.

    ``trained`` (K,) are the shares of the rows that the probabilities were calibrated on (``fit_scaling``).

    Source: Saerens, Latinne, Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", their EM iteration.
    """
    shares = trained = _positive(trained)
    for _ in range(EM_STEPS):
        before, shares = shares, _reweighted(probabilities, shares / trained).mean(axis=0)
        if np.abs(shares - before).max() < EM_TOLERANCE:
            break
    return shares


def confusion_shares(reference: Matrix, predicted: Shares) -> Shares:
    """Class shares (K,) of unlabelled rows, from how often each class is predicted there, ``predicted`` (K,).

    ``reference[i, j]`` counts labelled rows of class i that the same classifier predicts as j. Solved by
    non-negative least squares, for a plain inverse may give negative shares. A class without reference rows gets
    share 0.

    Source: Lipton, Wang, Smola 2018, "Detecting and Correcting for Label Shift with Black Box Predictors".
    """
    from scipy.optimize import nnls

    solution, _ = nnls(_rates(reference).T, predicted)
    return np.asarray(solution / solution.sum(), np.float64)


def corrected(probabilities: Floats, trained: Shares, shares: Shares) -> Floats:
    """Probabilities (N, K) of a classifier that learned with ``trained`` shares, for rows that have ``shares``.

    Source: Saerens, Latinne, Decaestecker 2002, their equation 2.4.
    """
    return _reweighted(probabilities, _positive(shares) / _positive(trained)).astype(np.float32)


def expected_confusion(reference: Matrix, shares: Shares, rows: int) -> Matrix:
    """The confusion (K, K) that ``rows`` rows with class ``shares`` would give if recalls stayed as they were."""
    return _rates(reference) * (shares * rows)[:, None]


def macro_f1(confusion: Matrix) -> float:
    """Mean F1 over the classes of a confusion matrix (K, K), rows being the true classes; 0 where undefined."""
    true, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    return float(np.mean(2 * right / np.maximum(true + predicted, np.finfo(float).tiny)))


class RecallChange(Frozen, frozen=True):
    """Recall (0..1) of one class on two sets, with its rows there, and how surprising the difference is.

    ``p`` is Fisher's exact test's, two-sided, times Holm's factor for the number of classes that are tested; None
    where a set has no row of the class. ``taken_for`` is what most of the second set's missed rows are predicted
    as, empty where none is missed.
    """

    name: str
    reference: float | None
    reference_rows: int
    second: float | None
    second_rows: int
    p: float | None
    taken_for: str


def recall_changes(reference: Matrix, second: Matrix, names: Sequence[str]) -> tuple[RecallChange, ...]:
    """Compare the recalls in two confusion matrices (K, K) of counts, rows being the true classes.

    Source: Fisher 1922; Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    from scipy.stats import fisher_exact

    tested = [k for k in range(len(names)) if reference[k].sum() and second[k].sum()]
    tables = [[[m[k, k], m[k].sum() - m[k, k]] for m in (reference, second)] for k in tested]
    adjusted = holm([float(fisher_exact(table).pvalue) for table in tables])
    p = dict(zip(tested, adjusted, strict=True))
    return tuple(
        RecallChange(
            name=name,
            reference=_recall(reference[k], k),
            reference_rows=int(reference[k].sum()),
            second=_recall(second[k], k),
            second_rows=int(second[k].sum()),
            p=p.get(k),
            taken_for=_taken_for(second[k], k, names),
        )
        for k, name in enumerate(names)
    )


def _logarithms(probabilities: Floats) -> Matrix:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))


def _positive(shares: Shares) -> Shares:
    return np.maximum(shares, SMALLEST_SHARE)


def _reweighted(probabilities: Floats, factors: Shares) -> Matrix:
    weighted = probabilities * factors
    sums = weighted.sum(axis=1, keepdims=True)
    return np.asarray(weighted / sums, np.float64)


def _rates(counts: Matrix) -> Matrix:
    """Rows that sum to 1, or are 0 where a class has none."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), np.float64)


def _recall(row: Matrix, number: int) -> float | None:
    return float(row[number] / row.sum()) if row.sum() else None


def _taken_for(row: Matrix, number: int, names: Sequence[str]) -> str:
    missed = np.where(np.arange(len(row)) == number, 0, row)
    return names[int(missed.argmax())] if missed.any() else ""
