"""Mixed precision that chooses itself: as few layers in float as bring an int8 file close enough to its backbone.

A simulation ranks the layers, once for all files of a call; finished files are asked how right they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import escape
from typing import Any

import msgspec
import numpy as np

from edgefer.artifact import Artifact
from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.compression.sensitivity import Step, measured
from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import InputError, TargetUnavailableError, VerificationError
from edgefer.formats.keeping import float_layers
from edgefer.metrics import score
from edgefer.preprocessing import Floats, Pixels, match_channels
from edgefer.runtimes.base import predict
from edgefer.spec import Frozen
from edgefer.verification import runtime_for


@dataclass(frozen=True)
class AccuracyBudget:
    """What int8 may cost: ``points`` of weighted F1 on validation rows, below the float backbone's on the same rows.

    Raises:
        InputError: no such drop is possible.
    """

    points: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.points <= 100:
            raise InputError(f"a drop of {self.points} points is none that F1 can have", hint="give 0 to 100")


class Trial(Frozen, frozen=True):
    """A file with ``count`` layers in float, and its weighted F1."""

    count: int
    weighted_f1: float


class Mixed(Frozen, frozen=True):
    """The layers of a file that stay in float, worst first, and why these.

    The files that were ``tried`` and the float backbone were scored on the same ``rows`` validation rows; the last of
    them is the one that loses at most ``max_drop`` points.
    """

    layers: tuple[str, ...]
    tried: tuple[Trial, ...]
    rows: int
    float_weighted_f1: float
    max_drop: float

    @property
    def told(self) -> dict[str, Any]:
        """The same as a calibration's config says it."""
        chosen = msgspec.to_builtins(self)
        return {"keep_float": chosen.pop("layers"), "keep_float_chosen": chosen}


@dataclass(frozen=True)
class Mixer:
    """Chooses the layers of int8 files that stay in float.

    The ranking sees ``calibration`` training images, drawn with ``seed`` like those of a file's own calibration;
    ``step`` hears of its layers, one by one.
    """

    backbone: Backbone
    dataset: Dataset
    budget: AccuracyBudget
    calibration: int
    seed: int
    step: Step = lambda *_: None

    def attempts(self) -> Iterator[tuple[str, ...]]:
        """Layers to keep in float: none, then the worst 1, 2, 4, 8, …, as long as one is left to quantize.

        Raises:
            EdgeferError: the network cannot be simulated.
        """
        yield ()
        count = 1
        while count < len(self._worst):
            yield self._worst[:count]
            count *= 2

    def names(self, layers: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """What ``Calibration`` wants to know of layers that stay in float."""
        return float_layers(self.backbone.model, [escape(name) for name in layers])

    def trial(self, layers: Sequence[str], artifact: Artifact) -> Trial:
        """Score a file on the validation rows.

        Raises:
            TargetUnavailableError: its runtime cannot run here.
            VerificationError: it answers NaN.
        """
        runtime = runtime_for(artifact)
        if missing := runtime.missing():
            raise TargetUnavailableError(
                f"no layers can be chosen where the file cannot run: {missing}",
                hint="name them with --keep-float",
            )
        answers = predict(runtime.open(artifact, 1), self._pixels)
        if np.isnan(answers).any():
            raise VerificationError(f"with {_layers(len(layers))} in float it answers NaN")
        return Trial(count=len(layers), weighted_f1=self._weighted_f1(answers))

    def suffices(self, trial: Trial) -> bool:
        """Whether a file loses no more than it may."""
        return self._drop(trial) <= self.budget.points

    def mixed(self, layers: tuple[str, ...], tried: Sequence[Trial]) -> Mixed:
        """The record of a choice."""
        return Mixed(
            layers=layers,
            tried=tuple(tried),
            rows=len(self._validation),
            float_weighted_f1=self._float_weighted_f1,
            max_drop=self.budget.points,
        )

    def refusal(self, tried: Sequence[Trial]) -> VerificationError:
        """What to say where no file is close enough."""
        nearest = max(tried, key=lambda one: one.weighted_f1)
        counts = ", ".join(str(one.count) for one in tried)
        return VerificationError(
            f"not written: with {counts} layers in float its weighted F1 on {len(self._validation):,} "
            f"validation rows is more than {self.budget.points:g} points below the float model's; the nearest, with "
            f"{_layers(nearest.count)} in float, is {self._drop(nearest):.2f} below",
            hint="try --calibration-method best, train with rounding (edgefer compress --stage qat), take another "
            "format, or allow more with --max-drop",
        )

    def _drop(self, trial: Trial) -> float:
        return 100 * (self._float_weighted_f1 - trial.weighted_f1)

    @cached_property
    def _worst(self) -> tuple[str, ...]:
        """Layers by what int8 does to them, worst first.

        Without weights there is nothing to spare: what a layer hands on to an integer one is rounded all the same.
        Parts of a layer are kept with the whole.
        """
        _all, *ranking = measured(
            self.backbone, self.dataset, calibration=self.calibration, seed=self.seed, step=self.step
        )
        return tuple(one.layer for one in ranking if one.weights and not one.part)

    @cached_property
    def _validation(self) -> Subset:
        return self.dataset.split("validation")

    @cached_property
    def _pixels(self) -> Pixels:
        return match_channels(self._validation.pixels, self.backbone.input)

    @cached_property
    def _float_weighted_f1(self) -> float:
        return self._weighted_f1(probabilities(self.backbone, self._pixels))

    def _weighted_f1(self, answers: Floats) -> float:
        rows = self._validation
        return score(rows.labels, answers.argmax(axis=1), self.backbone.labels, rows=rows.sha256).weighted_f1


def mixer_of(
    backbone: Backbone,
    dataset: Dataset,
    budget: AccuracyBudget,
    calibration: int,
    seed: int,
    step: Step = lambda *_: None,
) -> Mixer:
    """Check that layers can be chosen; nothing is measured before an int8 file is there.

    Raises:
        InputError: there are no layers, or no validation rows.
    """
    if not len(dataset.splits.get("validation") or ()):
        raise InputError(
            f"{dataset.name} has no validation rows, by which the layers that stay in float are chosen",
            hint="name them with --keep-float",
        )
    return Mixer(layered(backbone), dataset, budget, calibration, seed, step)


def layered(backbone: Backbone) -> Backbone:
    """The backbone, if there are layers in it that can stay in float.

    Raises:
        InputError: it is a SavedModel.
    """
    if not backbone.trainable:
        raise InputError(
            f"{backbone.name}: a SavedModel has no layers to keep in float",
            hint="convert the .keras or .h5 file, or leave out --keep-float",
        )
    return backbone


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
