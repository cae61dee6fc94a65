"""Keras 3 networks, layer by layer in tf_keras with equal outputs, and their weights on the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tuning_samples import images, inverted_residual, seeded, squeeze_excite

from edgefer.errors import ConversionError
from edgefer.interop_tf_keras import copy_weights_back, to_tf_keras
from edgefer.registry import discover

pytest.importorskip("tf_keras")


def nested() -> Any:
    """A body as a layer, the way transfer learning leaves it, once used as it is and once in a Sequential."""
    import keras

    body_in = keras.Input((32, 32, 3))
    body = keras.Model(body_in, keras.layers.Conv2D(4, 3, strides=4, name="conv")(body_in), name="body")
    head = [keras.layers.Flatten(name="flatten"), keras.layers.Dense(9, activation="softmax", name="dense")]
    return keras.Sequential(
        [keras.Input((32, 32, 3)), body, keras.Sequential(head, name="head")], name="nested"
    )


def operations() -> Any:
    """Everything that is written between layers and not as one."""
    import keras
    from keras import ops

    image = keras.Input((32, 32, 3), name="image")
    value = keras.layers.Conv2D(4, 3, strides=4, name="conv")(
        image / 2.0 * 0.7 + np.array([0.1, 0.2, 0.3]) - 0.05
    )
    value = ops.relu(value) * (1.0 - ops.sigmoid(value)) + ops.silu(value) - 0.5 * ops.relu6(value)
    value = keras.layers.Dense(9, name="dense")(keras.layers.Flatten(name="flatten")(value))
    return keras.Model(image, ops.softmax(value), name="operations")


@pytest.mark.parametrize("build", [inverted_residual, squeeze_excite, nested, operations])
def test_a_network_computes_the_same_in_tf_keras(build: Any):
    model = seeded(build)
    rebuilt = to_tf_keras(model)
    x = images()
    # tf_keras fuses batch normalization, Keras 3 does not: float32 rounding in another order, nothing more.
    np.testing.assert_allclose(np.asarray(rebuilt(x)), np.asarray(model(x)), atol=2e-6)


def test_an_adapted_normalization_goes_there_and_back():
    import keras

    front = keras.layers.Normalization(name="front")
    front.adapt(images() * 3 + 5)
    body = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.GlobalAveragePooling2D(name="pool")]
    model = keras.Sequential([keras.Input((32, 32, 3)), front, *body, keras.layers.Dense(9, name="dense")])
    rebuilt, copy = to_tf_keras(model), keras.models.clone_model(model)
    copy_weights_back(rebuilt, copy)
    # As above: float32 rounding.
    np.testing.assert_allclose(np.asarray(copy(images())), np.asarray(model(images())), atol=2e-6)


@pytest.mark.parametrize("family", ["mobilenetv2", "efficientnetv2b0"])
def test_real_families_compute_the_same(family: str):
    model = discover("edgefer.backbones.families", "FAMILIES")[family].build((48, 48, 3), 9, None, {})
    x = np.random.default_rng(1).uniform(-1, 1, (4, 48, 48, 3)).astype(np.float32)
    rebuilt = to_tf_keras(model)
    assert [layer.name for layer in rebuilt.layers] == [layer.name for layer in model.layers]
    # Some hundred layers of float32 rounding on probabilities.
    np.testing.assert_allclose(np.asarray(rebuilt(x)), np.asarray(model(x)), atol=1e-5)


def test_layers_and_their_names_are_those_of_the_network_and_none_stays_frozen():
    model = seeded(inverted_residual)
    model.get_layer("stem").trainable = False
    rebuilt = to_tf_keras(model)
    assert {layer.name for layer in rebuilt.layers} == {layer.name for layer in model.layers}
    assert len(rebuilt.trainable_variables) == len(model.trainable_variables) + 1


@pytest.mark.parametrize("build", [squeeze_excite, nested])
def test_trained_weights_come_back_by_name(build: Any):
    import keras

    model = seeded(build)
    rebuilt = to_tf_keras(model)
    before = [np.array(weight) for weight in model.get_weights()]
    rebuilt.set_weights([weight * 1.1 for weight in rebuilt.get_weights()])
    copy = keras.models.clone_model(model)
    copy_weights_back(rebuilt, copy)
    np.testing.assert_allclose(np.asarray(copy(images())), np.asarray(rebuilt(images())), atol=2e-6)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_weights_for_another_architecture_are_noticed():
    import keras

    model = seeded(squeeze_excite)
    other = keras.models.clone_model(model)
    other.get_layer("se_expand").activation = keras.activations.tanh
    with pytest.raises(ConversionError, match="outputs differ"):
        copy_weights_back(to_tf_keras(model), other)


def small(call: Any) -> Any:
    import keras

    image = keras.Input((8, 8, 3), name="image")
    value = keras.layers.Flatten(name="flatten")(call(image))
    return keras.Model(image, keras.layers.Dense(9, name="dense")(value), name="small")


def test_a_layer_that_tf_keras_does_not_have_is_named():
    import keras

    model = small(keras.layers.RMSNormalization(name="rms"))
    with pytest.raises(ConversionError, match=r"layer 'rms' is a RMSNormalization.*leave this stage out"):
        to_tf_keras(model)


def test_a_slope_goes_by_the_name_it_has_in_tf_keras():
    import keras

    model = small(keras.layers.LeakyReLU(0.01, name="leaky"))
    assert float(to_tf_keras(model).get_layer("leaky").alpha) == pytest.approx(0.01)


def test_an_activation_that_tf_keras_does_not_have_is_named():
    import keras

    model = small(keras.layers.Activation("hard_silu", name="swish"))
    with pytest.raises(ConversionError, match=r"layer 'swish' is a Activation that tf_keras cannot make"):
        to_tf_keras(model)


def test_somebodys_own_layer_is_no_layer_of_that_name():
    import keras

    class Dense(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2.0

    with pytest.raises(ConversionError, match="layer 'mine' is a Dense, which tf_keras does not have"):
        to_tf_keras(small(Dense(name="mine")))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda x: 1.0 / (x + 10.0), "Divide"),
        (lambda x: __import__("keras").ops.mean(x, axis=-1), "Mean"),
        (lambda x: x**2, "Power"),
    ],
)
def test_an_operation_that_no_layer_does_is_named(call: Any, kind: str):
    with pytest.raises(ConversionError, match=rf"is a \w*{kind}, which no layer of tf_keras does"):
        to_tf_keras(small(call))


def test_two_layers_of_one_name_are_refused():
    import keras

    body = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1, name="dense")], name="body")
    with pytest.raises(ConversionError, match="several layers are called 'dense'"):
        to_tf_keras(small(body))
