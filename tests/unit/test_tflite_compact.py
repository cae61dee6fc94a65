"""A TFLite file that says nothing twice is the same model."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from edgefer.formats.tflite_compact import compact
from edgefer.quieting import quiet_native

SHAPE = (12, 12, 3)


@cache
def converted(precision: str) -> bytes:
    """A small network as TFLiteConverter writes it."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    value = image
    for _ in range(2):
        value = layers.DepthwiseConv2D(3, padding="same", activation="relu")(value)
        value = layers.Conv2D(24, 1, activation="relu")(value)
    value = layers.GlobalAveragePooling2D()(value)
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.Model(image, layers.Dense(5, activation="softmax")(value))
    )
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one[None]] for one in faces())
    with quiet_native():
        content: bytes = converter.convert()
    return content


def faces() -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(8, *SHAPE)).astype(np.float32)


def answers(content: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.resize_tensor_input(0, (8, *SHAPE))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], faces())
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_answers_the_same_and_is_smaller(precision: str):
    whole = converted(precision)
    assert len(compact(whole)) < len(whole)
    assert np.array_equal(answers(compact(whole)), answers(whole))


def test_zero_points_are_stored_once_for_all_tensors_of_a_width():
    found = [at for one in tensors(compact(converted("int8"))) if len(at := zero_points(one)) == 24]
    assert len(found) == 6  # of weights and biases of three layers
    assert len({at.ctypes.data for at in found}) == 1


def test_everything_but_inner_names_is_kept():
    whole, small = (
        schema.ModelT.InitFromPackedBuf(each, 0) for each in (converted("int8"), compact(converted("int8")))
    )
    (before,), (after,) = whole.subgraphs, small.subgraphs
    ends = [*before.inputs, *before.outputs]
    assert [after.tensors[i].name for i in ends] == [before.tensors[i].name for i in ends]
    for one, other in zip(before.tensors, after.tensors, strict=True):
        assert one.name.startswith(other.name)
        assert b";" not in other.name
        one.name = other.name
    assert plain(small) == plain(whole)


def test_weights_are_aligned_as_the_format_demands():
    content = compact(converted("int8"))
    start = np.frombuffer(content, np.uint8).ctypes.data
    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.BuffersLength()):
        if model.Buffers(number).DataLength():
            assert (model.Buffers(number).DataAsNumpy().ctypes.data - start) % 16 == 0


def tensors(content: bytes) -> list[Any]:
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    return [graph.Tensors(number) for number in range(graph.TensorsLength())]


def zero_points(tensor: Any) -> np.ndarray:
    found = tensor.Quantization().ZeroPointAsNumpy() if tensor.Quantization() else 0
    return np.empty(0) if isinstance(found, int) else found


def plain(value: Any) -> Any:
    """An object tree of the format as something that can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in vars(value).items()} if hasattr(value, "__dict__") else value
