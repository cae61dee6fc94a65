"""Reshapes of an exported network name a constant shape."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edgefer.formats.reshaping import with_constant_shapes
from tests.networks import twins


def gated(flatten: layers.Layer | None = None) -> keras.Model:
    """A small network with squeeze-and-excitation, nested, and a head."""
    image = keras.Input((6, 6, 4), name="maps")
    gate = layers.GlobalAveragePooling2D()(image)
    gate = layers.Reshape((1, 1, -1))(gate)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(gate)
    body = keras.Model(image, layers.multiply([image, gate]), name="body")
    face = keras.Input((6, 6, 4), name="image")
    return keras.Model(
        face, layers.Dense(3, "softmax")((flatten or layers.Flatten())(body(face))), name="net"
    )


def operations(model: keras.Model) -> list[str]:
    """What TensorFlow Lite makes of it."""
    import tensorflow as tf

    from edgefer.quieting import quiet_native

    with quiet_native():
        payload = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = tf.lite.Interpreter(
        model_content=payload, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    return [one["op_name"] for one in interpreter._get_ops_details()]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_a_file_does_not_ask_for_its_rows():
    asking = {"SHAPE", "STRIDED_SLICE", "PACK"}
    assert asking <= set(operations(gated()))  # else the test would see nothing
    assert not asking & set(operations(with_constant_shapes(gated())))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_answers_are_the_same_for_any_number_of_rows(rows):
    model = gated()
    images = np.random.default_rng(0).normal(size=(rows, 6, 6, 4)).astype(np.float32)
    answers = with_constant_shapes(model).predict_on_batch(images)
    assert np.array_equal(answers, model.predict_on_batch(images))
    assert answers.shape == (rows, 3)


def test_channels_first_maps_are_flattened_by_the_layer_that_moves_them():
    model = gated(layers.Flatten(data_format="channels_first"))
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    answers = with_constant_shapes(model).predict_on_batch(images)
    assert np.array_equal(answers, model.predict_on_batch(images))


def test_a_network_that_reshapes_nothing_is_left_alone():
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, layers.GlobalAveragePooling2D()(image))
    assert with_constant_shapes(model) is model


def test_layers_of_one_name_in_a_body_and_its_head_are_told_apart():
    model = twins()
    images = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    answers = with_constant_shapes(model).predict_on_batch(images)
    assert np.array_equal(answers, model.predict_on_batch(images))


def test_new_reshapes_have_names_that_no_layer_of_a_loaded_network_has():
    keras.utils.clear_session()  # a process that has loaded a network numbers its own layers from the start
    image = keras.Input((4, 4, 1))
    value = layers.Conv2D(4, 1, name="reshape")(image)
    model = keras.Model(image, layers.Flatten()(value))
    assert with_constant_shapes(model).output_shape == (None, 64)
