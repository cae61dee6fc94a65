"""What an evaluation writes down."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgefer.evaluation.shift import RecallChange
from edgefer.files import write_atomic
from edgefer.metrics import Score
from edgefer.spec import Frozen, InputSpec, LabelSet

SCHEMA = 1


class Judgement(Frozen, frozen=True):
    """What answers are worth on some rows: ``calibration_error`` as ``metrics.calibration_error`` defines it."""

    score: Score
    macro_precision: float
    macro_recall: float
    calibration_error: float


class Judged(Frozen, frozen=True):
    """One model's answers, or the vote's, to the images (``tta`` none) or to changed copies of them.

    ``full`` is on all rows, ``clean`` without those whose image also stands in the training split.
    """

    name: str
    tta: str
    full: Judgement
    clean: Judgement


class Gain(Frozen, frozen=True):
    """How much better one ``Judged`` is than another on all rows, in points (hundredths).

    ``p`` is McNemar's for the two being right equally often.
    """

    name: str
    over: str
    accuracy: float
    weighted_f1: float
    macro_f1: float
    p: float


class ModelUsed(Frozen, frozen=True):
    """A model that answered."""

    name: str
    sha256: str
    input: InputSpec


class DataUsed(Frozen, frozen=True):
    """The rows that were judged; a ``Score`` holds their hash at the first model's image size."""

    name: str
    split: str
    synthetic: bool
    rows: int


class SetClass(Frozen, frozen=True):
    """One class within one source set.

    ``recall`` and ``prediction``, the most frequent one, are None where the set has no row of the class;
    ``suspicious`` is set where that prediction is another class, as a wrong label mapping would make it.
    """

    name: str
    rows: int
    recall: float | None
    prediction: str | None
    suspicious: bool


class SetScore(Frozen, frozen=True):
    """What the answers are worth on the rows of one source set."""

    name: str
    score: Score
    classes: tuple[SetClass, ...]


class ClassShare(Frozen, frozen=True):
    """Share (0..1) of one class: in the reference's training rows, in the second set, and estimated without labels.

    ``em`` is by the classifier's probabilities, calibrated on the reference; ``confusion`` by how often it predicts
    each class.
    """

    name: str
    reference: float
    second: float
    em: float
    confusion: float


class Shift(Frozen, frozen=True):
    """A second set held against the set that the models were trained on.

    ``before`` judges that set's ``reference_split`` without leaked rows. ``expected_accuracy`` and
    ``expected_macro_f1`` are what its recalls would give with the second set's class shares: where the measured
    ones lie below, more than the shares has moved. ``corrected`` judges the answers calibrated and corrected by
    the ``em`` shares, ``gain`` holds them against the plain ones.
    """

    reference: str
    reference_split: str
    before: Judgement
    shares: tuple[ClassShare, ...]
    recalls: tuple[RecallChange, ...]
    expected_accuracy: float
    expected_macro_f1: float
    corrected: Judgement
    gain: Gain


class Evaluation(Frozen, frozen=True):
    """Models judged on one split. The last of ``judged`` is the answer that was asked for.

    ``findings`` says in sentences what ``shift`` says in figures.

    Schema history: 1 - first version.
    """

    schema: int
    edgefer: str
    models: tuple[ModelUsed, ...]
    labels: LabelSet
    data: DataUsed
    judged: tuple[Judged, ...]
    gains: tuple[Gain, ...]
    sets: tuple[SetScore, ...] = ()
    shift: Shift | None = None
    findings: tuple[str, ...] = ()


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write it as indented JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(evaluation), indent=2) + b"\n")
