"""What predictions are worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Subset
from edgefer.metrics import Score, score
from edgefer.preprocessing import Floats
from edgefer.spec import LabelSet


def cross_entropy(probabilities: Floats, wanted: npt.NDArray[np.float32]) -> float:
    """Mean cross-entropy in nats of predicted against wanted distributions, both (N, classes)."""
    return float(-np.mean(np.sum(wanted * np.log(np.clip(probabilities, 1e-7, 1)), axis=1)))


def scores(probabilities: Floats, subset: Subset, labels: LabelSet) -> tuple[Score, Score]:
    """Score on all rows, and on those that did not leak from the training split."""
    clean = ~subset.leaked
    return _score(probabilities, subset, labels), _score(probabilities[clean], subset.take(clean), labels)


def _score(probabilities: Floats, subset: Subset, labels: LabelSet) -> Score:
    return score(subset.labels, probabilities.argmax(axis=1), labels, rows=subset.sha256)
