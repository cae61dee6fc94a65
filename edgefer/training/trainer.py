"""Trains a recipe: resumable, the best epoch chosen on validation, the test split read once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Dataset
from edgefer.datasets.scoring import may_have_been_trained_on, require_own_images
from edgefer.errors import NotFiniteError, SettingError, TrainingError
from edgefer.metrics import score
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Recipe, TrainingPart
from edgefer.spec import Lineage
from edgefer.training.ancestry import check_further, lineage_before, models_named
from edgefer.training.averaging import ROWS, averaged_weights
from edgefer.training.batches import batches, steps_per_epoch, targets
from edgefer.training.distilling import model_of
from edgefer.training.drawing import rows_per_epoch
from edgefer.training.finish import finish
from edgefer.training.folder import RunFolder, State
from edgefer.training.network import build_network, load_network, reseed
from edgefer.training.record import Epoch, Request, data_used
from edgefer.training.run import Hooks, Run, Trained
from edgefer.training.schedule import learning_rate
from edgefer.training.teachers import Lessons, lessons


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
        SettingError: the network cannot be built as the recipe says, or the data does not fit it.
        InputError: ``out`` is not as it must be, or a split has no image of its own to be scored on.
        TrainingError: the loss, or an answer, is no number any more.
    """
    _check_fits(recipe, dataset)
    request = Request(
        recipe=recipe, overrides=tuple(overrides), data=data_used(dataset), models=models_named(recipe)
    )
    run, state = _open(request, dataset, RunFolder(out), resume, hooks or Hooks())
    for number in range(len(state.history) + 1, recipe.training.epochs + 1):
        state = _next_state(run, state, number)
    return finish(run, request, state)


def _check_fits(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before anything is built or written, data that the recipe cannot use."""
    source = dataset.labels.source
    if source != recipe.data.labels:
        message = f"recipe {recipe.id} is for {recipe.data.labels} labels, the data has {source}"
        raise SettingError(message, key="data.labels")
    check_further(recipe, dataset.labels)
    for name in ("train", "validation"):
        to_floats(dataset.split(name).pixels[:1], recipe.input)
    require_own_images(dataset)


def _open(
    request: Request, dataset: Dataset, folder: RunFolder, resume: bool, hooks: Hooks
) -> tuple[Run, State]:
    """Begin a run, or find out where it was interrupted; a folder is claimed only once the network stands."""
    recipe, classes = request.recipe, len(dataset.labels)
    state = folder.resume(request) if resume else None
    if not resume:
        folder.check_free()
    taught = _lessons(recipe, dataset, hooks)
    if state is None:
        features = 0 if taught is None else taught.values.shape[1] - classes
        learner, words = build_network(recipe, classes, features)
        state = State(weights=words)
        folder.begin(request)
    else:
        learner = _load(folder, state, recipe.training)
    if state.weights.startswith("random weights ("):
        hooks.note(f"training starts from {state.weights}")
    before = lineage_before(recipe)
    _tell_of_trained_rows(before, recipe, dataset, hooks)
    _tell_of_missing_classes(dataset, hooks)
    backbone = Backbone(model_of(learner), recipe.input, dataset.labels, before, recipe.id, sha256="")
    return Run(recipe, dataset, folder, hooks, backbone, learner, taught), state


def _tell_of_trained_rows(before: Lineage, recipe: Recipe, dataset: Dataset, hooks: Hooks) -> None:
    """Say so where the network that training starts from most likely saw the rows it is scored on in the end."""
    test = dataset.splits.get("test")
    if test is not None and may_have_been_trained_on(before, test):
        hooks.note(
            f"{recipe.backbone.weights} was trained on rows dealt otherwise, most likely on many of these test rows of "
            f"{dataset.name}: scores on them prove nothing"
        )


def _tell_of_missing_classes(dataset: Dataset, hooks: Hooks) -> None:
    there = np.unique(dataset.split("train").labels)
    missing = [name for number, name in enumerate(dataset.labels.names) if number not in there]
    if missing:
        hooks.note(f"no training row is of {', '.join(missing)}: the network cannot learn to tell them")


def _lessons(recipe: Recipe, dataset: Dataset, hooks: Hooks) -> Lessons | None:
    """What the recipe's teachers answer on the training rows."""
    distillation = recipe.training.distillation
    if distillation is None:
        return None
    return lessons(distillation, dataset.split("train"), recipe.input, dataset.labels, hooks.note)


def _load(folder: RunFolder, state: State, training: TrainingPart) -> Any:
    path = folder.path / state.checkpoint
    try:
        return load_network(path, training)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path} cannot be read ({error})", hint="begin again with another --out"
        ) from error


def _next_state(run: Run, state: State, number: int) -> State:
    """Train one more epoch, score it and write it down."""
    started = time.perf_counter()
    loss = _fit(run, state.history, number)
    with _judged_weights(run, number):
        epoch = _judge(run, number, loss, started)
        state = state.after(epoch)
        if state.best_epoch == number:
            run.folder.save_best(run.backbone.model, number)
    run.folder.save(run.learner, state)
    run.hooks.epoch(epoch)
    return state


def _judged_weights(run: Run, number: int) -> AbstractContextManager[None]:
    """The weights that are evaluated and kept: the network's own or, with ``ema``, their moving average."""
    if not run.recipe.training.ema:
        return nullcontext()
    count = max(1, ROWS // run.recipe.training.batch_size)
    some = islice(batches(run.dataset.split("train"), run.recipe, number), count)
    return averaged_weights(run.learner, (batch.inputs for batch in some))


def _judge(run: Run, number: int, loss: float, started: float) -> Epoch:
    """Score the network on the validation split."""
    validation = run.dataset.split("validation")
    try:
        predicted = probabilities(run.backbone, validation.pixels)
    except NotFiniteError as error:
        # The last step's own loss was one of the weights before it.
        raise _diverged(run, "the network's answers are no numbers any more at the end", number) from error
    found = score(validation.labels, predicted.argmax(axis=1), run.dataset.labels, rows=validation.sha256)
    return Epoch(
        number=number,
        learning_rate=float(run.learner.optimizer.learning_rate),
        loss=loss,
        validation_loss=_cross_entropy(predicted, targets(validation, run.recipe.training.targets)),
        validation_accuracy=found.accuracy,
        validation_weighted_f1=found.weighted_f1,
        validation_macro_f1=found.macro_f1,
        seconds=time.perf_counter() - started,
    )


def _fit(run: Run, history: tuple[Epoch, ...], number: int) -> float:
    """One epoch on the training split; returns the mean loss."""
    training, subset = run.recipe.training, run.dataset.split("train")
    steps = steps_per_epoch(rows_per_epoch(subset.labels, training.oversample), training.batch_size)
    model, taught = run.learner, run.lessons.values if run.lessons else None
    reseed(model, run.recipe.seed, number)
    validation_losses = [epoch.validation_loss for epoch in history]
    losses = []
    for step, batch in enumerate(batches(subset, run.recipe, number, taught), start=1):
        rate = learning_rate(training, number - 1 + step / steps, validation_losses)
        model.optimizer.learning_rate = rate
        losses.append(float(model.train_on_batch(*batch)))
        if not math.isfinite(losses[-1]):
            raise _diverged(run, f"the loss is no number any more in step {step}", number)
        remark = f"epoch {number}/{training.epochs} loss {fmean(losses):.3f}"
        run.hooks.step((number - 1) * steps + step, training.epochs * steps, remark)
    return fmean(losses)


def _diverged(run: Run, what: str, number: int) -> TrainingError:
    return TrainingError(
        f"{what} of epoch {number} of {run.recipe.id}",
        hint="begin again with a lower training.learning_rate and another --out; --resume keeps to a run's settings",
    )


def _cross_entropy(probabilities: Floats, wanted: npt.NDArray[np.float32]) -> float:
    """Mean cross-entropy in nats of predicted against wanted distributions, both (N, classes)."""
    return float(-np.mean(np.sum(wanted * np.log(np.clip(probabilities, 1e-7, 1)), axis=1)))
