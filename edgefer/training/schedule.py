"""The learning rate as a pure function of where the run stands: resuming needs no hidden state."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgefer.recipe import Cosine, Plateau, TrainingPart


def learning_rate(training: TrainingPart, position: float, validation_losses: Sequence[float]) -> float:
    """Learning rate at ``position``, in epochs from the start (4.5 is the middle of the fifth epoch).

    ``validation_losses`` are those of the finished epochs, in order.
    """
    match training.schedule:
        case Cosine() as cosine:
            return training.learning_rate * _cosine(cosine, position, training.epochs)
        case Plateau() as plateau:
            return _plateau(plateau, training.learning_rate, validation_losses)
        case _:
            return training.learning_rate


def _cosine(schedule: Cosine, position: float, epochs: int) -> float:
    """Share of the peak: linear warm-up, then half a cosine (Loshchilov and Hutter 2017, no restarts)."""
    if position < schedule.warmup:
        return position / schedule.warmup
    passed = (position - schedule.warmup) / max(epochs - schedule.warmup, 1e-9)
    return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))


def _plateau(schedule: Plateau, start: float, losses: Sequence[float]) -> float:
    """Replay the finished epochs: one reduction after each ``patience`` epochs without a new lowest loss."""
    rate, lowest, waited = start, math.inf, 0
    for loss in losses:
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited == schedule.patience:
            rate, waited = max(rate * schedule.factor, schedule.minimum), 0
    return rate
