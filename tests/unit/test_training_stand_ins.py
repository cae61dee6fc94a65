from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgefer.backbones.half import in_float32
from edgefer.training.keeping import kept
from edgefer.training.stand_ins import with_stand_ins


def network(norm: dict[str, Any], shape: tuple[int, ...] = (8, 8, 3)) -> Any:
    import keras

    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape)
    hidden = keras.layers.Dense(4)(inputs)
    hidden = keras.layers.BatchNormalization(**norm, name="norm")(hidden)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(hidden)))


def trained(model: Any, steps: int = 5) -> Any:
    rng = np.random.default_rng(3)
    model.compile("sgd", "categorical_crossentropy", jit_compile=False)
    model.optimizer.learning_rate = 0.1
    for _ in range(steps):
        inputs = rng.normal(2.0, 3.0, (6, *model.input_shape[1:])).astype(np.float32)
        model.train_on_batch(inputs, np.eye(3, dtype=np.float32)[rng.integers(0, 3, 6)])
    return model


def norm_class(model: Any) -> str:
    return type(model.get_layer("norm")).__name__


@pytest.mark.parametrize("size", [8, 1], ids=["maps", "a single pixel"])
def test_a_fused_network_trains_as_kerass_own_does(size: int):
    shape = (size, size, 3)
    plain = network({"momentum": 0.8}, shape)
    fused = with_stand_ins(plain)
    assert norm_class(fused) == "FusedBatchNormalization"
    for one, two in zip(trained(plain).weights, trained(fused).weights, strict=True):
        # The same arithmetic in float32, summed in another order; the running statistics are near 10.
        np.testing.assert_allclose(two.numpy(), one.numpy(), rtol=2e-4, atol=2e-5, err_msg=one.path)


def test_the_kept_network_has_kerass_own_layers_and_the_trained_weights():
    import keras

    fused = trained(with_stand_ins(network({})))
    plain = kept(fused)
    assert type(plain.get_layer("norm")) is keras.layers.BatchNormalization
    inputs = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(plain.predict(inputs, verbose=0), fused.predict(inputs, verbose=0))


def test_frozen_statistics_stay_and_are_what_is_applied():
    fused = with_stand_ins(network({}))
    fused.get_layer("norm").trainable = False
    before = fused.get_layer("norm").get_weights()
    np.testing.assert_array_equal(trained(fused).get_layer("norm").get_weights(), before)


@pytest.mark.parametrize(
    "build",
    [
        lambda: network({"epsilon": 1e-6}),
        lambda: network({"scale": False}),
        lambda: network({"center": False}),
        lambda: network({"axis": 1}),
        lambda: network({"renorm": True}),
        lambda: network({}, (3,)),
    ],
    ids=["epsilon below the operation's least", "no scale", "no offset", "rows", "renorm", "a vector"],
)
def test_what_the_operation_computes_otherwise_keeps_kerass_layer(build: Callable[[], Any]):
    model = build()
    assert norm_class(with_stand_ins(model)) == "BatchNormalization"


def test_an_adapted_normalisation_computes_what_it_did():
    import keras

    image = keras.Input((8, 8, 3))
    adapted = keras.layers.Normalization()
    adapted.adapt(np.random.default_rng(1).normal(3, 2, (64, 8, 8, 3)))
    value = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(adapted(image)))
    plain = keras.Model(image, keras.layers.GlobalAveragePooling2D()(value))
    pixels = np.random.default_rng(2).normal(3, 2, (4, 8, 8, 3)).astype(np.float32)
    fused = with_stand_ins(plain)
    for network_again in (fused, kept(fused), in_float32(plain)):
        assert np.allclose(plain(pixels), network_again(pixels), atol=1e-5)


def depthwise(side: int, calls: int = 1, **settings: Any) -> Any:
    import keras

    keras.utils.set_random_seed(5)
    image = keras.Input((side, side, 3))
    layer = keras.layers.DepthwiseConv2D(
        **{"kernel_size": 3, "padding": "same", "name": "depthwise", **settings}
    )
    value = image
    for _ in range(calls):
        value = layer(value)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(value)))


def depthwise_class(model: Any) -> str:
    return type(model.get_layer("depthwise")).__name__


@pytest.mark.parametrize("side", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("more", [{}, {"use_bias": False, "activation": "relu6"}], ids=["plain", "activated"])
def test_a_depthwise_convolution_of_a_small_map_trains_as_kerass_own_does(
    side: int, kernel: int, stride: int, more: dict[str, Any]
):
    plain = depthwise(side, kernel_size=kernel, strides=stride, **more)
    padded = with_stand_ins(plain)
    assert depthwise_class(padded) == ("PaddedDepthwiseConv2D" if side < kernel else "DepthwiseConv2D")
    for one, two in zip(trained(plain).weights, trained(padded).weights, strict=True):
        # The same products in float32, summed in another order.
        np.testing.assert_allclose(two.numpy(), one.numpy(), rtol=2e-4, atol=2e-5, err_msg=one.path)
    assert depthwise_class(kept(padded)) == "DepthwiseConv2D"


def test_a_depthwise_convolution_in_two_places_trains_as_kerass_own_does():
    plain = depthwise(2, calls=2)
    padded = with_stand_ins(plain)
    for one, two in zip(trained(plain).weights, trained(padded).weights, strict=True):
        np.testing.assert_allclose(two.numpy(), one.numpy(), rtol=2e-4, atol=2e-5, err_msg=one.path)


@pytest.mark.parametrize(
    "settings",
    [{"padding": "valid", "kernel_size": 2}, {"dilation_rate": 2}],
    ids=["not padded", "dilated"],
)
def test_a_depthwise_convolution_that_is_not_padded_so_keeps_kerass_layer(settings: dict[str, Any]):
    assert depthwise_class(with_stand_ins(depthwise(2, **settings))) == "DepthwiseConv2D"
