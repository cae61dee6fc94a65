"""Trains a recipe: resumable, the best epoch chosen on validation, the test split read once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Dataset
from edgefer.datasets.scoring import scores
from edgefer.errors import InputError, TrainingError
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Recipe
from edgefer.training.batches import batches, steps_per_epoch, targets
from edgefer.training.finish import finish
from edgefer.training.folder import RunFolder, State
from edgefer.training.network import build_network, reseed
from edgefer.training.record import Epoch, Request, data_used
from edgefer.training.run import Hooks, Run, Trained
from edgefer.training.schedule import learning_rate


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    overrides: Sequence[str] = (),
    hooks: Hooks | None = None,
) -> Trained:
    """Train ``recipe`` on ``dataset`` and leave model, history and record in the folder ``out``.

    Images must have the recipe's height, width and pixel channels. After an interruption ``resume`` goes on
    after the last finished epoch and ends, up to the order of floating-point sums, where an uninterrupted run
    ends. ``overrides`` are what was changed against the recipe's file, for the record.

    Raises:
        InputError: the recipe cannot be built, the data does not fit it, or ``out`` is not as it must be.
        TrainingError: the loss is no number any more.
    """
    _check_fits(recipe, dataset)
    request = Request(recipe=recipe, overrides=tuple(overrides), data=data_used(dataset))
    run, state = _open(request, dataset, RunFolder(out), resume, hooks or Hooks())
    for number in range(len(state.history) + 1, recipe.training.epochs + 1):
        state = _next_state(run, state, number)
    return finish(run, request, state)


def _check_fits(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before anything is built or written, data that the recipe cannot use."""
    source = dataset.labels.source
    if source != recipe.data.labels:
        raise InputError(f"recipe {recipe.id} is for {recipe.data.labels} labels, the data has {source}")
    for name in ("train", "validation"):
        to_floats(dataset.split(name).pixels[:1], recipe.input)


def _open(
    request: Request, dataset: Dataset, folder: RunFolder, resume: bool, hooks: Hooks
) -> tuple[Run, State]:
    """Begin a run, or find out where it was interrupted; a folder is claimed only once the network stands."""
    state = folder.resume(request) if resume else None
    if not resume:
        folder.check_free()
    if state is None:
        model, words = build_network(request.recipe, len(dataset.labels))
        state = State(weights=words)
        folder.begin(request)
    else:
        model = _load(folder, state)
    if state.weights.startswith("random weights ("):
        hooks.note(f"training starts from {state.weights}")
    backbone = Backbone(model, request.recipe.input, dataset.labels, (), request.recipe.id, sha256="")
    return Run(request.recipe, dataset, folder, hooks, backbone), state


def _load(folder: RunFolder, state: State) -> Any:
    import keras

    try:
        return keras.saving.load_model(folder.path / state.checkpoint)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{folder.path / state.checkpoint} cannot be read ({error})",
            hint="begin again with another --out",
        ) from error


def _next_state(run: Run, state: State, number: int) -> State:
    """Train one more epoch and write it down."""
    epoch = _train_epoch(run, state.history, number)
    history = (*state.history, epoch)
    best = 1 + max(range(number), key=lambda index: history[index].validation_weighted_f1)
    state = State(
        weights=state.weights,
        checkpoint=f"epoch-{number:03d}.keras",
        best=f"best-{best:03d}.weights.h5",
        best_epoch=best,
        history=history,
    )
    run.folder.save(run.backbone.model, state)
    run.hooks.epoch(epoch)
    return state


def _train_epoch(run: Run, history: tuple[Epoch, ...], number: int) -> Epoch:
    started = time.perf_counter()
    loss = _fit(run, history, number)
    validation = run.dataset.split("validation")
    predicted = probabilities(run.backbone, validation.pixels)
    score, _ = scores(predicted.argmax(axis=1), validation, run.dataset.labels)
    return Epoch(
        number=number,
        learning_rate=float(run.backbone.model.optimizer.learning_rate),
        loss=loss,
        validation_loss=_cross_entropy(predicted, targets(validation, run.recipe.training.targets)),
        validation_accuracy=score.accuracy,
        validation_weighted_f1=score.weighted_f1,
        validation_macro_f1=score.macro_f1,
        seconds=time.perf_counter() - started,
    )


def _fit(run: Run, history: tuple[Epoch, ...], number: int) -> float:
    """One pass over the training split; returns the mean loss."""
    training, subset = run.recipe.training, run.dataset.split("train")
    steps = steps_per_epoch(len(subset), training.batch_size)
    model = run.backbone.model
    reseed(model, run.recipe.seed, number)
    validation_losses = [epoch.validation_loss for epoch in history]
    losses = []
    for step, (inputs, wanted) in enumerate(batches(subset, run.recipe, number), start=1):
        rate = learning_rate(training, number - 1 + step / steps, validation_losses)
        model.optimizer.learning_rate = rate
        losses.append(float(model.train_on_batch(inputs, wanted)))
        if not math.isfinite(losses[-1]):
            raise _diverged(run, number, step)
        remark = f"epoch {number}/{training.epochs} loss {fmean(losses):.3f}"
        run.hooks.step((number - 1) * steps + step, training.epochs * steps, remark)
    return fmean(losses)


def _diverged(run: Run, number: int, step: int) -> TrainingError:
    return TrainingError(
        f"the loss is no number any more in step {step} of epoch {number} of {run.recipe.id}",
        hint=f"lower training.learning_rate; {number - 1} finished epochs are kept in {run.folder.path}",
    )


def _cross_entropy(probabilities: Floats, wanted: npt.NDArray[np.float32]) -> float:
    """Mean cross-entropy in nats of predicted against wanted distributions, both (N, classes)."""
    return float(-np.mean(np.sum(wanted * np.log(np.clip(probabilities, 1e-7, 1)), axis=1)))
