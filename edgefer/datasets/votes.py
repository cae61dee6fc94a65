"""FER+'s rule: ten taggers vote, the most-voted class is the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import SPLITS, Split
from edgefer.spec import LabelSet

VOTE_COLUMNS = (
    *("neutral", "happiness", "surprise", "sadness", "anger"),
    *("disgust", "fear", "contempt", "unknown", "NF"),
)
_UNKNOWN, _NO_FACE = 8, 9


@dataclass(frozen=True)
class Tally:
    """What the votes decide, a row each.

    ``labels`` int64 (N,) and ``soft`` float32 (N, K) mean something only where ``keep`` bool (N,) is true.
    ``dropped`` and ``ties`` count rows a split.
    """

    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    keep: npt.NDArray[np.bool_]
    dropped: dict[Split, dict[str, int]]
    ties: dict[Split, int]


def tally(
    votes: npt.NDArray[np.int64], named: npt.NDArray[np.bool_], parts: npt.NDArray[np.int64], labels: LabelSet
) -> Tally:
    """Decide the labels of ``votes`` (N, 10), columns as ``VOTE_COLUMNS``, for ferplus-9 or ferplus-8.

    The label is the column with the most votes; among equals the first in column order, so that "not a face"
    (NF) loses to every class. Left out, in this order of reasons: rows without an image name (``named``
    false), rows without any vote, rows won by NF, and for ``ferplus-8`` rows won by unknown. ``soft`` are the
    votes for the kept classes, normalised. A tie is a kept row where another of the ten columns has as many
    votes as the label.
    """
    labels_of = votes.argmax(axis=1)
    reasons = {
        "no image name": ~named,
        "no votes": votes.sum(axis=1) == 0,
        "not a face": labels_of == _NO_FACE,
        "unknown": (labels_of == _UNKNOWN) & (len(labels) <= _UNKNOWN),
    }
    keep = np.ones(len(votes), np.bool_)
    dropped: dict[Split, dict[str, int]] = {split: {} for split in SPLITS}
    for reason, rows in reasons.items():
        _count(dropped, reason, parts[keep & rows])
        keep &= ~rows
    tied = keep & ((votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    ties = {split: int(np.sum(tied & (parts == part))) for part, split in enumerate(SPLITS)}
    return Tally(labels_of, _normalised(votes[:, : len(labels)]), keep, dropped, ties)


def _count(dropped: dict[Split, dict[str, int]], reason: str, parts: npt.NDArray[np.int64]) -> None:
    for part, split in enumerate(SPLITS):
        if count := int(np.sum(parts == part)):
            dropped[split][reason] = count


def _normalised(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    sums = np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return np.asarray(votes / sums, np.float32)
