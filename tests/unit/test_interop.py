"""Keras 2 networks, as files out in the world hold them, rebuilt in Keras 3 with equal outputs."""

import numpy as np
import pytest

from edgefer.errors import ConversionError, InputError, UntrustedCodeError

tf_keras = pytest.importorskip("tf_keras")
old = tf_keras.layers


def mini_xception():
    """The network shape most FER repositories ship: separable convolutions with residual branches."""
    image = tf_keras.Input((24, 24, 1))
    value = old.Conv2D(4, 3, padding="same", use_bias=False, kernel_regularizer="l2")(image)
    value = old.Activation("relu")(old.BatchNormalization()(value))
    branch = old.BatchNormalization()(old.Conv2D(8, 1, strides=2, padding="same", use_bias=False)(value))
    value = old.SeparableConv2D(8, 3, padding="same", use_bias=False, depthwise_regularizer="l2")(value)
    value = old.Activation("relu")(old.BatchNormalization()(value))
    value = old.add([old.MaxPooling2D(3, strides=2, padding="same")(value), branch])
    value = old.GlobalAveragePooling2D()(old.Conv2D(7, 3, padding="same")(value))
    return tf_keras.Model(image, old.Activation("softmax", name="predictions")(value))


def transfer():
    """A nested body, the way transfer learning leaves it, behind a plain TensorFlow expression."""
    body_in = tf_keras.Input((24, 24, 3))
    body = tf_keras.Model(body_in, old.ReLU(6.0)(old.DepthwiseConv2D(3, name="dw")(body_in)), name="body")
    image = tf_keras.Input((24, 24, 3))
    value = old.Dropout(0.5)(old.Flatten()(body(image / 127.5 - 1.0)))
    return tf_keras.Model(image, old.Dense(7, activation="softmax")(value))


def trained(model):
    """Weights that are no initial ones, batch-norm statistics included."""
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0.5, 0.2, w.shape)).astype("float32") for w in model.get_weights()])
    return model


@pytest.mark.parametrize("build", [mini_xception, transfer])
def test_a_keras2_network_computes_the_same_in_keras3(build):
    from edgefer.interop import to_keras3

    model = trained(build())
    new = to_keras3(model)
    images = np.random.default_rng(1).uniform(-1, 1, (8, *model.input_shape[1:])).astype("float32")
    # Keras 2 fuses batch normalization, Keras 3 does not: float32 rounding in another order, nothing more.
    np.testing.assert_allclose(np.asarray(new(images)), np.asarray(model(images)), atol=2e-5)


def test_what_keras3_calls_otherwise_and_what_a_layer_derives_come_along():
    from edgefer.interop import to_keras3

    image = tf_keras.Input((8, 8, 1))
    front = old.Normalization()
    front.adapt(np.random.default_rng(0).normal(5, 3, (50, 8, 8, 1)).astype("float32"))
    value = old.LeakyReLU(alpha=0.01)(front(image))
    new = to_keras3(tf_keras.Model(image, old.Flatten()(value)))
    assert [layer.negative_slope for layer in new.layers if hasattr(layer, "negative_slope")] == [
        pytest.approx(0.01)
    ]


def test_a_tensorflow_call_without_counterpart_is_named():
    import tensorflow as tf

    from edgefer.interop import to_keras3

    image = tf_keras.Input((8, 8, 1))
    model = tf_keras.Model(image, old.Flatten()(tf.image.flip_up_down(image)))
    with pytest.raises(ConversionError, match="no counterpart"):
        to_keras3(model)


def test_two_inputs_are_refused():
    from edgefer.interop import to_keras3

    left, right = tf_keras.Input((8, 8, 1)), tf_keras.Input((8, 8, 1))
    with pytest.raises(ConversionError, match="2 inputs"):
        to_keras3(tf_keras.Model([left, right], old.Flatten()(old.add([left, right]))))


@pytest.fixture
def h5(tmp_path):
    def save(model):
        path = tmp_path / "model.h5"
        with pytest.warns(UserWarning, match="HDF5"):
            model.save(path)
        return path

    return save


def load(path, **options):
    from edgefer.backbones.contract import Statement
    from edgefer.backbones.loading import load_backbone
    from edgefer.datasets.labels import LABEL_SETS

    said = Statement(range="0..1", labels=LABEL_SETS["fer2013-7"])
    return load_backbone(path, said, **options)


def test_an_h5_that_keras3_itself_refuses_is_loaded(h5):
    import keras

    path = h5(trained(mini_xception()))
    with pytest.raises(Exception, match=r"."):
        keras.saving.load_model(path, compile=False)
    backbone = load(path)
    assert backbone.lineage[0].config["origin"] == "tf_keras"
    assert "SeparableConv2D" in {type(layer).__name__ for layer in backbone.model.layers}


def test_a_lambda_layer_needs_trust_even_before_tensorflow_sees_it(h5):
    image = tf_keras.Input((8, 8, 1))
    value = old.Lambda(lambda x: x * 2.0, name="doubling")(image)
    path = h5(tf_keras.Model(image, old.Dense(7, activation="softmax")(old.Flatten()(value))))
    with pytest.raises(UntrustedCodeError, match=r"Lambda layer \('doubling'\).*--trust"):
        load(path)


def seven(image, value):
    return tf_keras.Model(image, old.Dense(7, activation="softmax")(old.Flatten()(value)))


@pytest.mark.parametrize(
    "wrapped",
    [lambda layer: tf_keras.Sequential([layer]), old.TimeDistributed],
    ids=["a model in a wrapper", "a wrapper in a wrapper"],
)
def test_a_lambda_layer_needs_trust_however_deep_it_stands(h5, wrapped):
    image = tf_keras.Input((8, 8, 1))
    doubling = old.Lambda(lambda x: x * 2.0, name="doubling")
    path = h5(seven(image, old.TimeDistributed(wrapped(doubling))(image)))
    with pytest.raises(UntrustedCodeError, match=r"Lambda layer \('doubling'\).*--trust"):
        load(path)


@pytest.mark.parametrize(
    "changed", [{"class_name": "ResidualWrapper"}, {"module": "somebody.elses.code"}], ids=["class", "module"]
)
def test_a_class_from_outside_keras2_needs_trust_inside_a_wrapper(h5, changed):
    import json

    import h5py

    image = tf_keras.Input((8, 8, 1))
    path = h5(seven(image, old.TimeDistributed(old.Dense(3))(image)))
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["layer"].update(changed)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UntrustedCodeError, match="|".join(changed.values())):
        load(path)


def test_wrappers_cells_and_nested_models_of_known_layers_need_no_trust():
    import json
    from pathlib import Path

    from edgefer.backbones.safety import refuse_code_in_keras2

    image = tf_keras.Input((8, 8, 1))
    inner = old.Dense(3, kernel_regularizer="l2", kernel_constraint="max_norm", dtype="mixed_float16")
    value = old.TimeDistributed(old.TimeDistributed(tf_keras.Sequential([inner])))(image)
    value = old.Bidirectional(old.LSTM(3, return_sequences=True))(old.Reshape((8, 24))(value))
    model = seven(image, old.RNN([old.GRUCell(3), old.SimpleRNNCell(3)])(value))
    refuse_code_in_keras2(Path("model.h5"), json.loads(model.to_json()))


def test_a_nested_model_of_known_layers_is_loaded(h5):
    image = tf_keras.Input((8, 8, 1))
    path = h5(seven(image, tf_keras.Sequential([tf_keras.Sequential([old.Dense(3)])])(image)))
    assert load(path).lineage[0].config["origin"] == "tf_keras"


def test_a_truncated_h5_is_named(h5):
    path = h5(mini_xception())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"model\.h5: truncated or not an HDF5 file"):
        load(path)


def test_weights_without_a_network_are_named(tmp_path):
    mini_xception().save_weights(tmp_path / "only.h5")
    with pytest.raises(InputError, match="weights without a network"):
        load(tmp_path / "only.h5")
