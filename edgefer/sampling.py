"""Which images calibrate a quantizer and which ones prove a conversion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError

Rows = npt.NDArray[np.intp]


def balanced_rows(labels: npt.NDArray[np.int64], count: int, seed: int) -> Rows:
    """Draw ``count`` row numbers with classes as equal as they come, seeded; all rows if there are fewer.

    Classes take turns; one that runs out leaves its turns to the others.

    Raises:
        InputError: there is nothing to draw from.
    """
    if count < 1 or not len(labels):
        raise InputError(
            "the calibration set is empty", hint="give data with a training split and --calibration 200"
        )
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(np.flatnonzero(labels == c))) for c in np.unique(labels)]
    return _take_turns(queues, count)


def telling_rows(outputs: npt.NDArray[np.float32], count: int) -> Rows:
    """Row numbers whose outputs (N, classes) differ most usefully: predicted classes take turns, surest rows first."""
    predicted, confidence = outputs.argmax(axis=1), outputs.max(axis=1)
    surest = np.argsort(-confidence, kind="stable")
    queues = [[row for row in surest if predicted[row] == c] for c in np.unique(predicted)]
    return _take_turns(queues, count)


def _take_turns(queues: list[list[np.intp]], count: int) -> Rows:
    chosen: list[np.intp] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return np.sort(np.asarray(chosen, np.intp))
