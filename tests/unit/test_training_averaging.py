"""Moving averages of weights, on the network of one convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_samples import TINY_FAMILY, tiny_recipe, tiny_subset

from edgefer.recipe import Recipe
from edgefer.training.averaging import averaged_weights
from edgefer.training.batches import batches
from edgefer.training.network import build_network

EMA = 0.8


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})


def trained(recipe: Recipe) -> tuple[Any, list[list[np.ndarray]]]:
    """A network after one epoch, and its trainable weights after each step."""
    model, _ = build_network(recipe, 9)
    steps = []
    for batch in batches(tiny_subset(64, 0), recipe, 1):
        model.train_on_batch(*batch)
        steps.append([np.array(variable) for variable in model.trainable_variables])
    return model, steps


def inputs(recipe: Recipe) -> list[np.ndarray]:
    return [batch.inputs for batch in batches(tiny_subset(64, 1), recipe, 1)]


@pytest.mark.parametrize("precision", ["float32", "mixed-float16"])
def test_inside_the_weights_are_the_average_and_afterwards_the_networks_own_again(precision: str):
    recipe = tiny_recipe(
        f"training.ema={EMA}", "training.learning_rate=0.01", f"training.precision={precision}"
    )
    model, steps = trained(recipe)
    own = model.get_weights()
    with averaged_weights(model, inputs(recipe)):
        inside = [np.array(variable) for variable in model.trainable_variables]
    assert all(np.array_equal(one, two) for one, two in zip(own, model.get_weights(), strict=True))
    for number, variable in enumerate(inside):
        expected = steps[0][number]
        for step in steps[1:]:
            expected = EMA * expected + (1 - EMA) * step[number]
        np.testing.assert_allclose(variable, expected, atol=1e-6)
        assert not np.array_equal(variable, steps[-1][number])


def test_batch_norm_statistics_are_those_of_the_averaged_weights():
    recipe = tiny_recipe(f"training.ema={EMA}", "training.learning_rate=0.1")
    model, _ = trained(recipe)
    convolution, normalization = model.layers[:2]
    given = inputs(recipe)
    with averaged_weights(model, given):
        features = [np.array(convolution(batch)) for batch in given]
        mean = np.mean([one.mean(axis=(0, 1, 2)) for one in features], axis=0)
        variance = np.mean([one.var(axis=(0, 1, 2)) for one in features], axis=0)
        np.testing.assert_allclose(np.array(normalization.moving_mean), mean, atol=1e-5)
        np.testing.assert_allclose(np.array(normalization.moving_variance), variance, rtol=1e-3)
    assert normalization.momentum == 0.9


def test_a_frozen_batch_norm_keeps_its_statistics():
    recipe = tiny_recipe(f"training.ema={EMA}")
    model, _ = trained(recipe)
    normalization = model.layers[1]
    normalization.trainable = False
    model.compile(type(model.optimizer)(use_ema=True), "categorical_crossentropy", jit_compile=False)
    model.train_on_batch(*next(batches(tiny_subset(64, 0), recipe, 1)))
    before = np.array(normalization.moving_mean)
    with averaged_weights(model, inputs(recipe)):
        assert np.array_equal(np.array(normalization.moving_mean), before)


def test_a_failure_inside_leaves_the_networks_own_weights():
    recipe = tiny_recipe(f"training.ema={EMA}", "training.learning_rate=0.1")
    model, _ = trained(recipe)
    own = model.get_weights()
    with pytest.raises(KeyboardInterrupt), averaged_weights(model, inputs(recipe)):
        raise KeyboardInterrupt
    assert all(np.array_equal(one, two) for one, two in zip(own, model.get_weights(), strict=True))
