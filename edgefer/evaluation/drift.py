"""S3's production check: a second set held against the one that the models were trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgefer.datasets.base import Dataset, Split, Subset
from edgefer.errors import InputError
from edgefer.evaluation import shift
from edgefer.evaluation.judging import Reply, gain, judge
from edgefer.evaluation.record import ClassShare, Judgement, Shift
from edgefer.spec import LabelSet

HELD_OUT: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True)
class Reference:
    """The set that the models were trained on: its ``train`` rows, and rows that were held out, its ``split``."""

    name: str
    split: Split
    train: Subset
    held_out: Subset


def reference_of(dataset: Dataset) -> Reference:
    """Take the training split, and of validation and test the first there is.

    Raises:
        InputError: the set lacks either.
    """
    split = next((name for name in HELD_OUT if len(dataset.splits.get(name, ()))), None)
    if split is None:
        raise InputError(
            f"{dataset.name} has no rows that training did not see",
            hint="give a --reference with a validation or test split",
        )
    return Reference(dataset.name, split, dataset.split("train"), dataset.split(split))


def compare(reference: Reference, usual: Reply, reply: Reply, subset: Subset, labels: LabelSet) -> Shift:
    """Say what moved from the reference to ``subset``, the second set's rows.

    ``usual`` is the models' reply to the reference's held-out rows, ``reply`` the one to the second set's.

    Raises:
        InputError: there are no rows to score.
    """
    classes = len(labels)
    trained = shift.class_shares(reference.train.labels, classes)
    second = shift.class_shares(subset.labels, classes)
    before, after = judge(usual, reference.held_out, labels), judge(reply, subset, labels)
    # Leaked rows were trained on: their recall is none that a second set could keep.
    counts, second_counts = _counts(before.clean), _counts(after.full)
    kept = ~reference.held_out.leaked
    known = reference.held_out.labels[kept]
    calibrated = shift.fit_scaling(usual.probabilities[kept], known).apply(reply.probabilities)
    held_out = shift.class_shares(known, classes)
    em = shift.em_shares(calibrated, held_out)
    predicted = shift.class_shares(reply.predictions, classes)
    by_confusion = shift.confusion_shares(counts, predicted)
    better = replace(
        reply,
        name=f"{reply.name}, corrected",
        probabilities=shift.corrected(calibrated, held_out, em),
    )
    expected = shift.expected_confusion(counts, second, len(subset))
    return Shift(
        reference=reference.name,
        reference_split=reference.split,
        before=before.clean,
        shares=tuple(
            ClassShare(name=name, reference=a, second=b, em=c, confusion=d)
            for name, a, b, c, d in zip(
                labels.names, *(s.tolist() for s in (trained, second, em, by_confusion)), strict=True
            )
        ),
        recalls=shift.recall_changes(counts, second_counts, labels.names),
        expected_accuracy=float(np.trace(expected) / max(expected.sum(), 1)),
        expected_macro_f1=shift.macro_f1(expected),
        corrected=judge(better, subset, labels).full,
        gain=gain(better, reply, subset, labels),
    )


def _counts(judged: Judgement) -> shift.Matrix:
    return np.asarray(judged.score.confusion, np.float64)
