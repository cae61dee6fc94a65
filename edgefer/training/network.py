"""A recipe's network, ready to be trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.errors import WeightsUnavailableError
from edgefer.recipe import Recipe, TrainingPart
from edgefer.registry import discover, lookup


def build_network(recipe: Recipe, classes: int) -> tuple[Any, str]:
    """Build and compile the recipe's network.

    Returns the ``keras.Model`` and, in words, what its weights are.

    Raises:
        InputError: an unknown family, bad options, or weights that do not fit.
        WeightsUnavailableError: named weights cannot be had and the recipe does not allow random ones.
    """
    import keras

    family = lookup(
        "backbone family", recipe.backbone.family, discover("edgefer.backbones.families", "FAMILIES")
    )
    spec, chosen = recipe.input, recipe.backbone
    shape = (spec.height, spec.width, spec.channels)
    keras.utils.set_random_seed(recipe.seed)
    weights = None if chosen.weights == "none" else chosen.weights
    words = f"{weights} weights" if weights else "random weights"
    try:
        model = family.build(shape, classes, weights, chosen.options)
    except WeightsUnavailableError as error:
        if chosen.weights_missing != "random":
            raise
        model, words = family.build(shape, classes, None, chosen.options), f"random weights ({error.message})"
    _compile(model, recipe.training)
    return model, words


def reseed(model: Any, seed: int, epoch: int) -> None:
    """Set the state of dropout and its like from ``seed`` and ``epoch``; Keras files do not keep it."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    values = np.random.default_rng([seed, epoch]).integers(0, 2**32, (len(states), 2), dtype=np.uint32)
    for state, value in zip(states, values, strict=True):
        state.assign(value)


def _compile(model: Any, training: TrainingPart) -> None:
    import keras

    loss = keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    # XLA on a CPU is slower than TensorFlow's own kernels and takes minutes to compile; JAX needs it.
    jit = "auto" if keras.backend.backend() != "tensorflow" else False
    model.compile(_optimizer(training), loss, jit_compile=jit)


def _optimizer(training: TrainingPart) -> Any:
    from keras import optimizers

    rate = training.learning_rate
    match training.optimizer:
        case "adam":
            return optimizers.Adam(rate)
        case "adamw":
            return optimizers.AdamW(rate, weight_decay=training.weight_decay)
        case "sgd-nesterov":
            return optimizers.SGD(rate, momentum=0.9, nesterov=True)
