"""FER+'s rule: ten taggers vote, the most-voted class is the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgefer.datasets.labels import FERPLUS
from edgefer.spec import LabelSet

VOTE_COLUMNS = (*FERPLUS, "NF")
_UNKNOWN, _NO_FACE = VOTE_COLUMNS.index("unknown"), VOTE_COLUMNS.index("NF")


@dataclass(frozen=True)
class Tally:
    """What the votes decide, a row each.

    ``labels`` int64 (N,) and ``soft`` float32 (N, K) mean something only for rows that are not ``dropped``:
    bool (N,) by reason, a row under one at most. ``tied`` is bool (N,).
    """

    labels: npt.NDArray[np.int64]
    soft: npt.NDArray[np.float32]
    dropped: dict[str, npt.NDArray[np.bool_]]
    tied: npt.NDArray[np.bool_]


def tally(votes: npt.NDArray[np.int64], named: npt.NDArray[np.bool_], labels: LabelSet) -> Tally:
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
    keep, dropped = np.ones(len(votes), np.bool_), {}
    for reason, rows in reasons.items():
        dropped[reason] = keep & rows
        keep &= ~rows
    tied = keep & ((votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    return Tally(labels_of, _normalised(votes[:, : len(labels)]), dropped, tied)


def _normalised(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    sums = np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return np.asarray(votes / sums, np.float32)
