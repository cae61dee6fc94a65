"""What the parts of a training run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer.backbones.base import Backbone
from edgefer.datasets.base import Dataset
from edgefer.recipe import Recipe
from edgefer.training.folder import RunFolder
from edgefer.training.record import Epoch, TrainRecord
from edgefer.training.teachers import Lessons


def _ignore(*_: object) -> None:
    """Nobody wants to hear."""


@dataclass(frozen=True)
class Hooks:
    """Who wants to hear of a run's progress.

    ``step(done, total, remark)`` counts optimizer steps of the whole run; ``epoch`` gets each finished epoch,
    ``note`` a sentence the user should read.
    """

    step: Callable[[float, float, str], None] = _ignore
    epoch: Callable[[Epoch], None] = _ignore
    note: Callable[[str], None] = _ignore


@dataclass(frozen=True)
class Trained:
    """The best epoch's backbone, as saved at ``path``, and the record of the run."""

    backbone: Backbone
    record: TrainRecord
    path: Path


@dataclass(frozen=True)
class Run:
    """What stays the same over the epochs; only the weights of ``backbone`` change.

    ``learner`` is what is compiled and fitted: the backbone's network, or one around it. ``lessons`` are
    about the training rows, None without teachers.
    """

    recipe: Recipe
    dataset: Dataset
    folder: RunFolder
    hooks: Hooks
    backbone: Backbone
    learner: Any
    lessons: Lessons | None = None
