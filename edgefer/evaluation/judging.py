"""From probabilities and true classes to judgements and gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Subset
from edgefer.datasets.scoring import scores
from edgefer.evaluation.record import Gain, Judged, Judgement
from edgefer.metrics import Score, calibration_error, mcnemar_p
from edgefer.preprocessing import Floats
from edgefer.spec import LabelSet


@dataclass(frozen=True)
class Reply:
    """Probabilities float32 (N, classes) that ``name`` (a model or the vote) gave, with ``tta`` or without."""

    name: str
    tta: str
    probabilities: Floats

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name if self.tta == "none" else f"{self.name}, {self.tta}"

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Class numbers (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)


def judge(reply: Reply, subset: Subset, labels: LabelSet) -> Judged:
    """Judge a reply on all rows and without the leaked ones; raises as ``scores`` does."""
    full, clean = scores(reply.predictions, subset, labels)
    kept = ~subset.leaked
    return Judged(
        name=reply.name,
        tta=reply.tta,
        full=judgement(full, reply.probabilities, subset.labels),
        clean=judgement(clean, reply.probabilities[kept], subset.labels[kept]),
    )


def judgement(score: Score, probabilities: Floats, labels: npt.NDArray[np.int64]) -> Judgement:
    """Complete a score of these rows by what needs their probabilities."""
    return Judgement(
        score=score,
        macro_precision=score.macro_precision,
        macro_recall=score.macro_recall,
        calibration_error=calibration_error(probabilities, labels),
    )


def gain(better: Reply, other: Reply, subset: Subset, labels: LabelSet) -> Gain:
    """Hold one reply against another on the same rows, in points."""
    (one, _), (two, _) = (scores(each.predictions, subset, labels) for each in (better, other))
    right = [each.predictions == subset.labels for each in (better, other)]
    return Gain(
        name=better.title,
        over=other.title,
        accuracy=100 * (one.accuracy - two.accuracy),
        weighted_f1=100 * (one.weighted_f1 - two.weighted_f1),
        macro_f1=100 * (one.macro_f1 - two.macro_f1),
        p=mcnemar_p(*right),
    )
