"""Training with int8 rounding: where it rounds, and that a float network with the same architecture comes out."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning_samples import backbone_of, images, inverted_residual, seeded, squeeze_excite, tuning, workshop

from edgefer.backbones.base import Backbone
from edgefer.compression.quantize_configs import Places, calibrate, give_back, imitating_int8, places_of
from edgefer.compression.stages.qat import Options, run
from edgefer.errors import ConversionError
from edgefer.interop_tf_keras import to_tf_keras
from edgefer.registry import discover

# Importing the package here would turn tf.keras into tf_keras for all tests.
pytestmark = pytest.mark.skipif(
    find_spec("tensorflow_model_optimization") is None,
    reason="tensorflow-model-optimization is not installed",
)


def places(build: Any) -> dict[str, Places]:
    return {layer.name: places_of(layer) for layer in to_tf_keras(seeded(build)).layers[1:]}


def test_what_the_converter_fuses_away_is_not_rounded():
    found = places(inverted_residual)
    kernel = (("kernel", -1),)
    assert found["stem"] == Places(kernel)
    assert found["stem_bn"] == found["pad"] == found["dropout"] == Places()
    assert found["stem_relu"] == found["project_bn"] == found["sum"] == found["pool"] == Places(output=True)
    assert found["depthwise"] == Places((("depthwise_kernel", -2),))
    assert found["probabilities"] == Places(kernel, argument=True)


def test_a_relu_up_to_another_value_than_6_is_an_operation_of_its_own():
    import tf_keras

    image = tf_keras.Input((8, 8, 3))
    for cap, fused in ((6.0, True), (None, True), (1.0, False)):
        layer = tf_keras.layers.Conv2D(4, 3)
        tf_keras.layers.ReLU(cap)(layer(image))
        assert places_of(layer).output is not fused


def test_a_squeeze_excite_block_is_rounded_as_it_runs():
    found = places(squeeze_excite)
    kernel = (("kernel", -1),)
    # swish is no part of a convolution in the runtime: both its argument and its values are tensors of their own.
    assert (
        found["stem_bn"]
        == found["stem_swish"]
        == found["se_multiply"]
        == found["rescaling"]
        == Places(output=True)
    )
    assert found["se_reduce"] == Places(kernel, output=True)
    assert found["se_expand"] == Places(kernel, argument=True)
    assert found["se_reshape"] == Places()


@pytest.mark.parametrize("build", [inverted_residual, squeeze_excite])
def test_rounding_changes_the_answers_a_little(build: Any):
    plain = to_tf_keras(seeded(build))
    rounded = imitating_int8(plain)
    before = [np.array(weight) for weight in plain.get_weights()]
    calibrate(rounded, [images(64)])
    difference = np.abs(np.asarray(rounded(images())) - np.asarray(plain(images(), training=False)))
    # A step is 1/256 of a range of some units, a few layers deep; half a range off would move answers by 0.1.
    assert 1e-5 < difference.max() < 0.03
    give_back(rounded, plain)
    assert all(np.array_equal(a, b) for a, b in zip(before, plain.get_weights(), strict=True))


def test_a_tensor_holds_whole_steps_of_its_range():
    import tf_keras

    rounded = imitating_int8(to_tf_keras(seeded(inverted_residual)))
    calibrate(rounded, [images(64)])
    layer = rounded.get_layer("quant_sum")
    low, high = (
        float(variable) for variable in layer.weights if variable.name.endswith(("_min:0", "_max:0"))
    )
    values = tf_keras.Model(rounded.input, layer.output).predict_on_batch(images(64))
    steps = values / ((high - low) / 255)
    assert len(np.unique(values)) > 20
    assert low - (high - low) / 255 <= values.min() < values.max() <= high + (high - low) / 255
    # float32 keeps seven digits, of which a number of steps takes three.
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_a_weak_channel_keeps_its_own_scale():
    """A depthwise kernel with one scale for all channels would round its weak channel to nothing."""
    import tf_keras

    image = tf_keras.Input((4, 4, 2))
    value = tf_keras.layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(image)
    plain = tf_keras.Model(image, tf_keras.layers.BatchNormalization(epsilon=1e-12, name="norm")(value))
    strengths = np.array([1.0, 0.001], np.float32)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 1)).astype(np.float32)
    one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    plain.set_weights([kernel * strengths[:, None], one, zero, zero, strengths**2])
    rounded = imitating_int8(plain)
    x = np.random.default_rng(1).normal(size=(64, 4, 4, 2)).astype(np.float32)
    rounded.get_layer("quant_norm").layer.trainable = False  # calibration sees the statistics set above
    calibrate(rounded, [x])
    error = np.abs(np.asarray(rounded(x)) - np.asarray(plain(x, training=False))).reshape(-1, 2)
    # Nine rounded weights, each half of 1/127 off at most, and half a step of 1/256 of the output's range.
    assert np.all(error.max(axis=0) < 0.25)
    assert np.all(error.mean(axis=0) < 0.05)


def test_what_comes_out_is_the_float_network_trained(tmp_path: Path):
    network = seeded(squeeze_excite)
    before = np.asarray(network(images()))
    result = run(backbone_of(network), Options(tuning=tuning(2)), workshop(tmp_path))
    model = result.backbone.model
    assert [layer.name for layer in model.layers] == [layer.name for layer in network.layers]
    assert model.count_params() == network.count_params()
    assert np.array_equal(before, np.asarray(network(images())))
    assert np.max(np.abs(np.asarray(model(images())) - before)) > 0.01  # it learned
    statistics = model.get_layer("stem_bn").moving_mean - network.get_layer("stem_bn").moving_mean
    assert np.max(np.abs(statistics)) > 1e-3
    scores = [epoch["validation_weighted_f1"] for epoch in result.findings["epochs"]]
    assert (
        result.findings["rounded_validation_weighted_f1"]
        == max(scores)
        == scores[result.findings["epoch"] - 1]
    )


def test_a_training_that_ruins_the_network_is_left_out_and_said_to_be(tmp_path: Path):
    backbone = answering_well()
    before = [np.array(weight) for weight in backbone.model.get_weights()]
    notes: list[str] = []
    # Adam's first step is the learning rate for every weight: beside it, what the weights were is nothing.
    ruinous = replace(workshop(tmp_path, note=notes.append), rate=lambda *_: 1000.0)
    result = run(backbone, Options(tuning=tuning(2)), ruinous)
    found = result.findings
    assert found["rounded_validation_weighted_f1"] < found["rounded_validation_weighted_f1_before"]
    assert found["kept"] is False
    assert result.backbone is backbone
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.model.get_weights(), strict=True))
    (note,) = notes
    assert note.endswith("this does not help here and is left out")
    assert f"{found['rounded_validation_weighted_f1_before']:.4f} before" in note
    assert f"{found['rounded_validation_weighted_f1']:.4f} after" in note


def answering_well() -> Backbone:
    """A network that tells the sample's dark faces from its bright ones by their mean."""
    from keras import Input, Model, layers

    image = Input((32, 32, 3), name="image")
    value = layers.Conv2D(4, 3, strides=4, padding="same", activation="relu", name="stem")(image)
    value = layers.GlobalAveragePooling2D(name="pool")(value)
    model = Model(
        image, layers.Dense(9, activation="softmax", name="probabilities")(value), name="brightness"
    )
    stem, head = model.get_layer("stem"), model.get_layer("probabilities")
    # Brightness, a mean from -0.6 (dark) to 0.6 (bright) of 27 values, moved to be positive.
    stem.set_weights([np.full(stem.kernel.shape, 1 / 27), np.ones(4)])
    slope = np.zeros((4, 9))
    slope[:, 1] = 2.0
    offset = np.full(9, -20.0)
    offset[:2] = 0.0, -8.0
    head.set_weights([slope, offset])
    return backbone_of(model)


def test_a_layer_without_a_rule_is_named(tmp_path: Path):
    import keras

    image = keras.Input((32, 32, 3), name="image")
    value = keras.layers.LayerNormalization(name="norm")(keras.layers.Flatten(name="flatten")(image))
    model = keras.Model(image, keras.layers.Dense(9, activation="softmax", name="dense")(value))
    with pytest.raises(ConversionError, match=r"layer 'norm' is a LayerNormalization.*leave qat out"):
        run(backbone_of(model), Options(tuning=tuning()), workshop(tmp_path))


def test_settings_that_the_training_does_not_know_are_refused():
    with pytest.raises(ValueError, match=r"cannot have training\.ema"):
        Options(tuning=tuning(ema=0.9))


def test_efficientnetv2_is_accepted_and_learns():
    """The package's own scheme refuses it: Multiply, and batch norm with swish."""
    import tensorflow as tf

    network = discover("edgefer.backbones.families", "FAMILIES")["efficientnetv2b0"].build(
        (48, 48, 3), 9, None, {}
    )
    rounded = imitating_int8(to_tf_keras(network))
    x = np.random.default_rng(1).uniform(-1, 1, (8, 48, 48, 3)).astype(np.float32)
    calibrate(rounded, [x])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(-tf.math.log(rounded(x, training=True)[:, 0]))
    gradients = tape.gradient(loss, rounded.trainable_variables)
    assert len(gradients) == len(network.trainable_variables)
    assert all(gradient is not None and np.all(np.isfinite(gradient)) for gradient in gradients)
    # Rounding does not block what is learned by the very first layer.
    assert np.any(gradients[0])
