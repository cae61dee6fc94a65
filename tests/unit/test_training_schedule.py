from __future__ import annotations

import pytest

from edgefer.recipe import Constant, Cosine, Plateau, TrainingPart
from edgefer.training.schedule import learning_rate


def part(schedule: Constant | Plateau | Cosine) -> TrainingPart:
    return TrainingPart(epochs=10, batch_size=4, learning_rate=0.1, schedule=schedule)


def test_constant():
    assert {learning_rate(part(Constant()), position, ()) for position in (0.1, 5, 10)} == {0.1}


def test_cosine_rises_then_falls_to_its_floor():
    rates = [learning_rate(part(Cosine(warmup=2, floor=0.01)), position, ()) for position in range(11)]
    assert rates[0] == 0
    assert rates[1] == pytest.approx(0.05)
    assert rates[2] == pytest.approx(0.1)
    assert rates[6] == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert rates[10] == pytest.approx(0.001)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_plateau_reduces_once_after_each_patience():
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.8, 0.81]
    schedule = part(Plateau(patience=2, factor=0.5))
    rates = [learning_rate(schedule, n, losses[:n]) for n in range(len(losses) + 1)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.025])


def test_plateau_stops_at_its_minimum():
    schedule = part(Plateau(patience=1, factor=0.1, minimum=0.005))
    assert learning_rate(schedule, 9, [1.0] * 9) == 0.005


def test_plateau_may_stay_at_its_start():
    assert learning_rate(part(Plateau(patience=1, minimum=0.1)), 9, [1.0] * 9) == 0.1
