"""A float TFLite file for XNNPACK's sparse kernels is the same network, in the shape that those kernels ask for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers

from edgefer.errors import ConversionError
from edgefer.explaining import tflite_file
from edgefer.formats.sparse_body import SAME, _ends
from edgefer.formats.tflite_compact import compact
from edgefer.formats.tflite_graph import Graph
from edgefer.formats.tflite_sparse import with_sparse_kernels
from edgefer.pipeline import choose_formats
from edgefer.quieting import quiet_native

WIDTH = 40
# Sums of float32 in another order, in a network of seven layers whose answers are probabilities.
SAME_ANSWERS = 1e-5


def network(size=24, channels=1, side=3, **other):
    """A small MobileNet: stem, depthwise separable blocks of stride 1 and 2, a sum, a mean, a dense layer."""
    keras.utils.set_random_seed(3)
    image = keras.Input((size, size, channels))
    value = other.get("stem", stem)(image)
    value = other.get("early", lambda x: x)(separable(value, side, 1))
    value = separable(value, side, 2, other.get("padding", "same"))
    value = layers.Add()([value, separable(value, side, 1)])
    value = other.get("late", layers.GlobalAveragePooling2D())(value)
    return keras.Model(image, layers.Dense(5, activation="softmax")(value))


def stem(image):
    return layers.Conv2D(16, 3, 2, padding="same", activation="relu", bias_initializer="uniform")(image)


def separable(value, side, stride, padding="same"):
    value = layers.DepthwiseConv2D(
        side, stride, padding=padding, activation="relu6", bias_initializer="uniform"
    )(value)
    return layers.Conv2D(WIDTH, 1, bias_initializer="uniform")(value)


def pruned(model, share=0.8):
    """The smallest weights of 1x1 convolutions and dense layers become zero."""
    for layer in model.layers:
        if type(layer) is layers.Dense or (type(layer) is layers.Conv2D and layer.kernel_size == (1, 1)):
            kernel = np.asarray(layer.kernel)
            layer.kernel.assign(np.where(abs(kernel) < np.quantile(abs(kernel), share), 0, kernel))
    return model


def converted(model):
    import tensorflow as tf

    with quiet_native():
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def answers(content, images):
    interpreter = Interpreter(model_content=content, num_threads=1)
    taken, given_back = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(taken["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(given_back["index"])


def kinds(content):
    graph = Graph(content)
    return [graph.kind(operator) for operator in graph.operators]


@pytest.mark.parametrize(
    ("settings", "turned"),
    [
        ({}, True),  # an even number of pixels: TensorFlow's odd zero stands behind them
        ({"size": 25}, False),  # 25, 13 and 7 pixels: zeros are even as they are
        ({"channels": 3, "side": 5}, True),
        ({"size": 25, "channels": 3, "side": 5}, False),
        ({"early": lambda x: layers.ReLU(6.0)(layers.ReLU()(x))}, True),
    ],
)
def test_it_is_the_same_network(settings, turned):
    dense = converted(pruned(network(**settings)))
    sparse = compact(with_sparse_kernels(dense))
    for batch in (1, 3):
        images = np.random.default_rng(0).random((batch, *image_shape(dense)), np.float32)
        np.testing.assert_allclose(answers(sparse, images), answers(dense, images), atol=SAME_ANSWERS)
    operators = kinds(sparse)
    assert operators.count("REVERSE_V2") == (2 if turned else 0)
    assert operators.count("DENSIFY") == 3
    assert len(sparse) < len(dense)


def image_shape(content):
    return tuple(Interpreter(model_content=content).get_input_details()[0]["shape"][1:])


@pytest.mark.parametrize("size", [24, 25])
def test_every_convolution_over_space_is_padded_by_half_a_kernel(size):
    graph = Graph(with_sparse_kernels(converted(pruned(network(size)))))
    windows = [
        one for one in graph.operators
        if graph.kind(one) == "DEPTHWISE_CONV_2D"
        or (graph.kind(one) == "CONV_2D" and graph.shape(one.inputs[1])[1:3] == (3, 3))
    ]  # fmt: skip
    assert graph.shape(windows[0].inputs[1])[3] == 3  # of gray pixels, thrice
    for operator in windows:
        padding = graph.producer(operator.inputs[0])
        if operator.builtinOptions.strideH > 1:
            amounts = graph.constant(padding.inputs[1])
            assert amounts.tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]
        else:
            assert operator.builtinOptions.padding == SAME


def test_what_the_network_pads_itself_is_padded_evenly_too():
    def padded(image):
        return layers.Conv2D(16, 3, 2, activation="relu")(layers.ZeroPadding2D(((0, 1), (0, 1)))(image))

    dense = converted(pruned(network(stem=padded)))
    images = np.random.default_rng(0).random((2, 24, 24, 1), np.float32)
    sparse = with_sparse_kernels(dense)
    np.testing.assert_allclose(answers(sparse, images), answers(dense, images), atol=SAME_ANSWERS)
    assert kinds(sparse).count("PAD") == 2


REFUSED = {
    "5 channels": ({"channels": 5}, "is not a 3x3 convolution of 1 or 3 channels"),
    "a stem without stride": ({"stem": lambda x: layers.Conv2D(16, 3, padding="same")(x)}, "has stride 1, not 2"),
    "a full convolution": ({"early": lambda x: layers.Conv2D(40, 3, padding="same")(x)}, "neither 1x1 with stride 1"),
    "a 7x7 kernel": ({"side": 7}, "has another kernel than 3x3 or 5x5"),
    "pooling": ({"early": lambda x: layers.MaxPooling2D(2, 1, "same")(x)}, "is MAX_POOL_2D"),
    "a gate": ({"early": lambda x: layers.Multiply()([x, layers.ReLU()(x)])}, "is MUL"),
    "no padding": ({"padding": "valid"}, r"padded by \(0, 0\), \(0, 0\) zeros"),
    "no mean": ({"late": layers.Flatten()}, "is SHAPE"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_of_another_kind_is_refused_by_name(case):
    settings, reason = REFUSED[case]
    with pytest.raises(ConversionError, match=reason) as refused:
        with_sparse_kernels(converted(pruned(network(**settings))))
    assert "tflite-int8" in refused.value.hint


@pytest.mark.parametrize("share", [0.0, 0.66])
def test_too_few_zeros_are_refused(share):
    with pytest.raises(ConversionError, match="want more than 67%") as refused:
        with_sparse_kernels(converted(pruned(network(), share)))
    assert "magnitude" in refused.value.hint


def test_zeros_that_are_not_stored_are_counted(tmp_path):
    dense, sparse = tmp_path / "dense.tflite", tmp_path / "sparse.tflite"
    dense.write_bytes(converted(pruned(network(25, channels=3))))
    sparse.write_bytes(compact(with_sparse_kernels(dense.read_bytes())))
    assert tflite_file.zeros(sparse) == tflite_file.zeros(dense)
    assert tflite_file.zeros(sparse)[1] > 3000


def test_it_is_no_format_for_every_network():
    assert "tflite-sparse-fp32" not in [form.id for form in choose_formats("all")]
    assert [form.id for form in choose_formats("tflite-sparse-fp32")] == ["tflite-sparse-fp32"]


@given(
    st.integers(1, 60),
    st.sampled_from((3, 5)),
    st.sampled_from((1, 2)),
    arrays(np.int32, 2, elements=st.integers(0, 3)),
)
def test_zeros_of_same_are_tensorflows(size, side, stride, stated):  # fmt: skip
    import tensorflow as tf

    before, after = _ends(size, stated, side, stride, same=True)
    line = np.zeros(size + stated.sum(), np.float32)
    line[stated[0] : stated[0] + size] = np.arange(1, size + 1)
    whole = np.zeros(before + size + after, np.float32)
    whole[before : before + size] = np.arange(1, size + 1)
    kernel = np.arange(1, side + 1, dtype=np.float32).reshape(side, 1, 1)
    same, valid = (
        tf.nn.conv1d(one.reshape(1, -1, 1), kernel, stride, padding).numpy()
        for one, padding in ((line, "SAME"), (whole, "VALID"))
    )
    np.testing.assert_array_equal(same, valid)
