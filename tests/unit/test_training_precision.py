from __future__ import annotations

import numpy as np
import pytest
from training_samples import TINY_FAMILY, tiny_recipe, tiny_subset

from edgefer.errors import InputError
from edgefer.training.batches import batches
from edgefer.training.keeping import kept
from edgefer.training.network import build_network


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})


@pytest.mark.parametrize(
    ("precision", "dtype"), [("mixed-float16", "float16"), ("mixed-bfloat16", "bfloat16")]
)
def test_layers_compute_in_half_precision_and_keep_float32_weights(precision: str, dtype: str):
    import keras

    model, _ = build_network(tiny_recipe(f"training.precision={precision}"), 9)
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in model.layers[:-1]} == {dtype}
    assert model.layers[-1].compute_dtype == "float32", "probabilities must sum to 1"
    assert {str(variable.dtype) for variable in model.trainable_variables} == {"float32"}
    assert hasattr(model.optimizer, "inner_optimizer") == (dtype == "float16"), (
        "only float16 needs loss scaling"
    )


def test_the_kept_network_computes_in_float32_and_answers_alike():
    recipe = tiny_recipe("training.precision=mixed-float16")
    model, _ = build_network(recipe, 9)
    network = kept(model)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    [inputs, *_] = next(batches(tiny_subset(16, 0), recipe, 1))
    one, two = model.predict_on_batch(inputs), network.predict_on_batch(inputs)
    assert one.dtype == two.dtype == np.float32
    # float16 has 11 bits, and a handful of layers round.
    assert 0 < np.abs(one - two).max() < 5e-3


def test_a_network_that_cannot_be_built_leaves_the_policy_as_it_was():
    import keras

    with pytest.raises(InputError):
        build_network(tiny_recipe("training.precision=mixed-float16", "backbone.family=none"), 9)
    assert keras.config.dtype_policy().name == "float32"
