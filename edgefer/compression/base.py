"""What a stage is, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefer.backbones.base import Backbone
from edgefer.datasets.base import Dataset
from edgefer.preprocessing import Floats
from edgefer.recipe import TrainingPart, Tuning
from edgefer.spec import Frozen

# Network inputs (B, H, W, channels), targets (B, classes), each row's factor in the loss (B,) or None.
Batch = tuple[Floats, Floats, Floats | None]


CORRECTED: Mapping[str, str] = {
    "bias-correct": "biases were corrected for the rounding of the weights as they were before"
}
"""Why no stage that changes weights may follow the one that corrects biases, as ``Stage.not_after`` has it."""


def _ignore(*_: object) -> None:
    """Nobody wants to hear."""


class Pace(Frozen, frozen=True):
    """The time a changed network takes for a batch, as a share of the whole one's, measured.

    ``low`` and ``high`` are its interval, None where there are too few rounds for one. ``unstable`` is empty, or says
    why it may not be trusted.
    """

    ratio: float
    low: float | None
    high: float | None
    unstable: str = ""


@dataclass(frozen=True)
class Workshop:
    """What a stage works with.

    ``original`` is the backbone that came into the run; a stage gets what the one before it made of it. ``dataset``
    holds images at the backbone's input size. ``folder`` is the stage's own and outlives an
    interruption: a stage begun again finds there what it wrote. ``tune(backbone, tuning, name)`` trains a Keras
    backbone further in a folder ``name`` below it, resuming by itself, and returns the best epoch's; with
    ``teacher`` that backbone's answers are learned from too. ``student(part, input, tuning, name, teachers)``
    trains a new network in the same way, on the answers of ``teachers``. ``batches(tuning, epoch)``
    yields the batches such a training would see, ``epoch`` counting from 1; ``steps(tuning)`` is how many these
    are. ``rate(training, position, validation_losses)`` is the learning rate at a position in epochs.
    ``pace(whole, cut, batch)`` converts two backbones to the format that the run is about, times them in turns on this
    machine, and remembers it. ``step(done, total, remark)`` and ``note(sentence)`` are for the user.
    """

    original: Backbone
    dataset: Dataset
    folder: Path
    seed: int
    tune: Callable[..., Backbone]
    student: Callable[..., Backbone]
    batches: Callable[[Tuning, int], Iterable[Batch]]
    steps: Callable[[Tuning], int]
    rate: Callable[[TrainingPart, float, Sequence[float]], float]
    pace: Callable[[Backbone, Backbone, int], Pace]
    step: Callable[[float, float, str], None] = _ignore
    note: Callable[[str], None] = _ignore


@dataclass(frozen=True)
class Result:
    """The backbone a stage made, and what there is to say about it: JSON values, for the lineage."""

    backbone: Backbone
    findings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One way to compress.

    ``options`` is the record its settings are read into. ``run(backbone, options, workshop)`` leaves the given
    backbone as it is. ``not_after`` names stages that must not have run before, each with the reason; ``final`` is
    the reason why no stage may follow this one, empty where some may.
    """

    id: str
    options: type[Frozen]
    run: Callable[[Backbone, Any, Workshop], Result]
    not_after: Mapping[str, str] = field(default_factory=dict)
    final: str = ""
