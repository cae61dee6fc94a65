"""A recipe's network, ready to be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgefer.backbones.base import Family
from edgefer.backbones.families.heads import body_length
from edgefer.errors import InputError, SettingError, WeightsUnavailableError
from edgefer.recipe import Recipe, TrainingPart
from edgefer.registry import discover, lookup
from edgefer.training.distilling import learner_of, loss_class, loss_of
from edgefer.training.precision import computing_in
from edgefer.training.stand_ins import stand_in_classes, with_stand_ins


def build_network(recipe: Recipe, classes: int, features: int = 0) -> tuple[Any, str]:
    """Build the recipe's network and compile what it is trained as.

    Returns the compiled ``keras.Model``, whose network ``model_of`` gives, and, in words, what its weights are.
    ``features`` is the length of the teachers' feature vectors where there is a hint. ``backbone.frozen`` counts
    the layers of the network below its head as ``model.layers`` does, in topological order, the input layer first:
    101 means ``model.layers[:101]``. Batch normalisation among them keeps its running statistics and applies them.

    Raises:
        SettingError: an unknown family, bad options, too long a frozen prefix, a network that cannot be built.
        WeightsUnavailableError: named weights cannot be had and the recipe does not allow random ones.
    """
    import keras

    keras.utils.set_random_seed(recipe.seed)
    with computing_in(recipe.training.precision):
        built, used, missing = _build(recipe, classes)
        model = with_stand_ins(built)
        _check_frozen(model, recipe.backbone.frozen)
        if used:
            _freeze(model, recipe.backbone.frozen)
        # In 16 bits probabilities do not sum to 1 closely enough.
        model.layers[-1].dtype_policy = "float32"
        learner = _learner(model, recipe, features)
        _compile(learner, recipe.training, classes)
    return learner, _in_words(used, missing, recipe.backbone.frozen)


def load_network(path: Path, training: TrainingPart) -> Any:
    """Open a checkpoint of what ``build_network`` compiled with optimizer, averages and all.

    Raises:
        OSError, ValueError: Keras cannot read the file.
    """
    import keras

    with computing_in(training.precision):
        ours = {loss_class().__name__: loss_class(), **stand_in_classes()}
        return keras.saving.load_model(path, custom_objects=ours)


def _build(recipe: Recipe, classes: int) -> tuple[Any, str | None, str]:
    """The network, the weights it has (None: random ones) and why it lacks those that were asked for."""
    family, chosen = _family(recipe.backbone.family), recipe.backbone
    shape = (recipe.input.height, recipe.input.width, recipe.input.channels)
    weights = None if chosen.weights == "none" else _expanded(chosen.weights)
    try:
        return family.build(shape, classes, weights, chosen.options), weights, ""
    except WeightsUnavailableError as error:
        if chosen.weights_missing != "random":
            raise
        return family.build(shape, classes, None, chosen.options), None, error.message
    except SettingError:
        raise
    except InputError as error:
        raise SettingError(error.message, key="backbone", hint=error.hint) from error


def _expanded(weights: str) -> str:
    """A shell leaves the tilde of ``--set backbone.weights=~/file`` as it is."""
    return str(Path(weights).expanduser()) if weights.startswith("~") else weights


def _family(name: str) -> Family:
    try:
        family: Family = lookup("backbone family", name, discover("edgefer.backbones.families", "FAMILIES"))
    except InputError as error:
        raise SettingError(error.message, key="backbone.family", hint=error.hint) from error
    return family


def _check_frozen(model: Any, frozen: int) -> None:
    if frozen > (length := body_length(model)):
        raise SettingError(
            f"frozen = {frozen}: {model.name} has {length} layers below its head",
            key="backbone.frozen",
            hint=f"choose 0 to {length}",
        )


def _freeze(model: Any, frozen: int) -> None:
    for layer in model.layers[:frozen]:
        layer.trainable = False


def _in_words(weights: str | None, missing: str, frozen: int) -> str:
    if weights:
        return f"{weights} weights" + (f" ({frozen} layers frozen)" if frozen else "")
    remarks = [f"frozen prefix of {frozen} layers trained too"] if frozen else []
    remarks += [missing] if missing else []
    return "random weights" + (f" ({'; '.join(remarks)})" if remarks else "")


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Set the state of dropout and its like from ``seed`` and ``epoch``; Keras files do not keep it."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    values = np.random.default_rng([seed, epoch]).integers(0, 2**32, (len(states), 2), dtype=np.uint32)
    for state, value in zip(states, values, strict=True):
        state.assign(value)


def _learner(model: Any, recipe: Recipe, features: int) -> Any:
    try:
        return learner_of(model, recipe.training.distillation, features)
    except InputError as error:
        key = "training.distillation.hint"
        raise SettingError(error.message, key=key, hint=error.hint) from error


def _compile(learner: Any, training: TrainingPart, classes: int) -> None:
    import keras

    # XLA on a CPU is slower than TensorFlow's own kernels and takes minutes to compile; JAX needs it.
    jit = "auto" if keras.backend.backend() != "tensorflow" else False
    learner.compile(_optimizer(training), loss_of(training, classes), jit_compile=jit)


def _optimizer(training: TrainingPart) -> Any:
    from keras import optimizers

    rate, nesterov = training.learning_rate, training.optimizer == "sgd-nesterov"
    average = {"use_ema": True, "ema_momentum": training.ema} if training.ema else {}
    decay = training.weight_decay
    match training.optimizer:
        case "adam":
            return optimizers.Adam(rate, **average)
        case "adamw":
            return optimizers.AdamW(rate, weight_decay=decay, **average)
        case "sgd" | "sgd-nesterov":
            momentum = training.momentum
            return optimizers.SGD(rate, momentum, nesterov=nesterov, weight_decay=decay, **average)
