"""Someone else's model: an old .h5 that Keras 3 refuses, and a SavedModel, on the whole way to verified files."""

import numpy as np
import pytest

from tests.e2e.conftest import edgefer

SIZE = 24


@pytest.fixture(scope="module")
def faces():
    from edgefer.datasets.loading import load

    return load("synthetic", None, size=(SIZE, SIZE)).split("train")


@pytest.fixture(scope="module")
def old_network(faces):
    """A mini-Xception in Keras 2, really trained for a moment, so that its answers differ from face to face."""
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input((SIZE, SIZE, 1))
    value = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(layers.Conv2D(8, 3, use_bias=False)(image)))
    branch = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(16, 1, strides=2, padding="same")(value))
    value = layers.SeparableConv2D(16, 3, padding="same", use_bias=False)(value)
    value = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(value))
    value = layers.add([layers.MaxPooling2D(3, strides=2, padding="same")(value), branch])
    value = layers.Flatten()(layers.SeparableConv2D(16, 3, activation="relu")(value))
    model = tf_keras.Model(image, layers.Dense(9, activation="softmax")(value))
    model.compile(tf_keras.optimizers.legacy.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(faces.pixels / np.float32(255), faces.labels, epochs=12, batch_size=32, verbose=0)
    return model


def verified(model, out, formats, *said):
    ran = edgefer("convert", model, "--to", formats, "--data", "synthetic", "--out", out, "--json", *said)
    assert ran.code == 0, ran.err + ran.out
    checked = edgefer("verify", *[one["path"] for one in ran.json], "--json")
    assert checked.code == 0, checked.out
    return {one["format"]: one for one in checked.json}


def test_an_old_h5_with_separable_convolutions_reaches_all_three_containers(old_network, tmp_path):
    path = tmp_path / "old.h5"
    with pytest.warns(UserWarning, match="HDF5"):
        old_network.save(path)
    said = ("--labels", "ferplus-9", "--range", "0..1")
    outcomes = verified(
        path, tmp_path / "o", "tflite-fp32,tflite-int8,onnx-fp32,onnx-int8,coreml-fp16", *said
    )
    assert {o["status"] for o in outcomes.values()} == {"passed"}


def test_the_wrong_range_is_found_out_before_anything_is_written(old_network, tmp_path):
    path = tmp_path / "old.h5"
    with pytest.warns(UserWarning, match="HDF5"):
        old_network.save(path)
    said = ("--labels", "ferplus-9", "--range", "0..255")
    ran = edgefer("convert", path, "--to", "onnx-fp32", "--data", "synthetic", "--out", tmp_path / "o", *said)
    assert ran.code == 2
    assert "give --range 0..1" in ran.error_line
    assert not (tmp_path / "o").exists()


def test_a_savedmodel_converts_and_verifies(old_network, tmp_path):
    import tensorflow as tf

    tf.saved_model.save(old_network, str(tmp_path / "saved"))
    said = ("--labels", "ferplus-9", "--range", "0..1")
    outcomes = verified(tmp_path / "saved", tmp_path / "o", "tflite-int8,onnx-fp32,coreml-fp16", *said)
    assert {o["status"] for o in outcomes.values()} == {"passed"}


def test_a_savedmodel_cannot_be_inspected_into_layers_but_says_so(old_network, tmp_path):
    import tensorflow as tf

    tf.saved_model.save(old_network, str(tmp_path / "saved"))
    ran = edgefer("inspect", tmp_path / "saved", "--labels", "ferplus-9", "--range", "0..1")
    assert ran.code == 0, ran.err
    assert "not counted" in ran.out
