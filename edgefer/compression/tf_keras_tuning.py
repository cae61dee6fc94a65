"""Training a tf_keras network further, for the stages that need tensorflow-model-optimization."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.compression.base import Workshop
from edgefer.compression.tf_keras_checkpoint import Epoch, History, assign, restore, save, values_of
from edgefer.datasets.base import Dataset
from edgefer.errors import NotFiniteError, TrainingError
from edgefer.metrics import Score, score
from edgefer.recipe import TrainingPart, Tuning

# Keras 3 and tf_keras compute the same sums in another order; a mistake is orders of magnitude larger.
REBUILD_TOLERANCE = 1e-4
_PLAIN = TrainingPart(epochs=1, batch_size=1, learning_rate=1.0)


def require_plain(tuning: Tuning) -> None:
    """Refuse settings that this training does not know.

    Raises:
        ValueError: names the setting.
    """
    for name in ("ema", "precision", "distillation"):
        if getattr(tuning.training, name) != getattr(_PLAIN, name):
            raise ValueError(f"tuning cannot have training.{name} in this stage; leave it at its default")


def tune(
    model: Any,
    backbone: Backbone,
    tuning: Tuning,
    workshop: Workshop,
    *,
    first: int = 1,
    callbacks: Sequence[Any] = (),
) -> History:
    """Train the tf_keras ``model``, leave the weights of ``best_of(history, first)`` in it, return the history.

    ``backbone`` says what the model's inputs and outputs mean. ``callbacks`` are tf_keras callbacks, called at the
    beginning of the training and at the end of each epoch. A training that was interrupted is gone on with after
    its last finished epoch, as ``workshop.folder`` holds it.

    Raises:
        TrainingError: the loss is no number any more.
        InputError: the folder holds the training of another network.
    """
    run = _Run(model, replace(backbone, model=model), tuning, workshop)
    _compile(model, tuning.training)
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    variables = [*model.variables, *model.optimizer.variables]
    history, best = restore(workshop.folder, variables)
    for number in range(len(history) + 1, tuning.training.epochs + 1):
        history = (*history, _epoch(run, history, number, callbacks))
        if best_of(history, first) is history[-1]:
            best = values_of(model.variables)
        save(workshop.folder, history, variables, best)
    assign(model.variables, best)
    return history


def best_of(history: History, first: int = 1) -> Epoch:
    """The epoch with the highest weighted validation F1 among those from number ``first`` on, if there are any yet."""
    return max(history[first - 1 :] or history, key=lambda epoch: epoch.validation_weighted_f1)


class Verdict(NamedTuple):
    """Score on the validation split, and the mean cross-entropy there in nats."""

    score: Score
    loss: float


def judge(backbone: Backbone, dataset: Dataset, targets: str = "majority") -> Verdict:
    """Score a network, of Keras 3 or tf_keras, on the validation split; the loss is against ``targets``."""
    validation = dataset.split("validation")
    answers = probabilities(backbone, validation.pixels)
    majority = np.eye(answers.shape[1], dtype=np.float32)[validation.labels]
    wanted = validation.soft if targets == "votes" else majority
    found = score(validation.labels, answers.argmax(axis=1), backbone.labels, rows=validation.sha256)
    return Verdict(found, float(-np.mean(np.sum(wanted * np.log(np.clip(answers, 1e-7, 1)), axis=1))))


@dataclass(frozen=True)
class _Run:
    """``backbone`` is the one being made: its model is ``model``."""

    model: Any
    backbone: Backbone
    tuning: Tuning
    workshop: Workshop


def _compile(model: Any, training: TrainingPart) -> None:
    from tf_keras import losses

    loss = losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    model.compile(_optimizer(training), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)


def _optimizer(training: TrainingPart) -> Any:
    from tf_keras import optimizers

    rate, decay = training.learning_rate, training.weight_decay
    match training.optimizer:
        case "adam":
            return optimizers.Adam(rate, jit_compile=False)
        case "adamw":
            return optimizers.AdamW(rate, weight_decay=decay, jit_compile=False)
        case "sgd" | "sgd-nesterov":
            nesterov = training.optimizer == "sgd-nesterov"
            return optimizers.SGD(
                rate, training.momentum, nesterov=nesterov, weight_decay=decay or None, jit_compile=False
            )


def _epoch(run: _Run, history: History, number: int, callbacks: Sequence[Any]) -> Epoch:
    """Train one more epoch and score what comes out."""
    started = time.perf_counter()
    loss = _fit(run, history, number)
    for callback in callbacks:
        callback.on_epoch_end(number - 1)
    try:
        verdict = judge(run.backbone, run.workshop.dataset, run.tuning.training.targets)
    except NotFiniteError as error:
        raise _diverged(run, "the network's answers are no numbers any more at the end", number) from error
    return Epoch(
        number=number,
        loss=loss,
        validation_loss=verdict.loss,
        validation_weighted_f1=verdict.score.weighted_f1,
        seconds=time.perf_counter() - started,
    )


def _fit(run: _Run, history: History, number: int) -> float:
    """One epoch on the training split; returns the mean loss."""
    import tensorflow as tf

    training, steps = run.tuning.training, run.workshop.steps(run.tuning)
    validation_losses = [epoch.validation_loss for epoch in history]
    # Dropout's numbers begin anew with each epoch: a resumed training draws those of an uninterrupted one.
    tf.random.set_seed(run.workshop.seed)
    losses = []
    for step, (inputs, targets, weights) in enumerate(run.workshop.batches(run.tuning, number), start=1):
        rate = run.workshop.rate(training, number - 1 + step / steps, validation_losses)
        run.model.optimizer.learning_rate = rate
        losses.append(float(run.model.train_on_batch(inputs, targets, sample_weight=weights)))
        if not math.isfinite(losses[-1]):
            raise _diverged(run, f"the loss is no number any more in step {step}", number)
        remark = f"epoch {number}/{training.epochs} loss {fmean(losses):.3f}"
        run.workshop.step((number - 1) * steps + step, training.epochs * steps, remark)
    return fmean(losses)


def _diverged(run: _Run, what: str, number: int) -> TrainingError:
    return TrainingError(
        f"{what} of epoch {number} of {run.backbone.name}",
        hint=f"lower tuning.training.learning_rate and empty {run.workshop.folder}",
    )
