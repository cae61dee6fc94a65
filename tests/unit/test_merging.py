"""Parallel branches become one convolution that does what they did."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from edgefer.backbones.families.student import PLANS, build
from edgefer.backbones.graph import cost_of
from edgefer.backbones.merging import merged
from tests.networks import twins

# Sums of a few hundred float32 products in another order.
CLOSE = 1e-4


def trained_alike(model, seed=0):
    """Weights and statistics as training leaves them: nothing is zero, nothing is one."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(0, 0.3, weight.shape)
        if "variance" in weight.name or "gamma" in weight.name:
            values = rng.uniform(0.5, 1.5, weight.shape)
        if weight.dtype.startswith("float"):
            weight.assign(values)
    return model


def difference(one, other):
    faces = np.random.default_rng(1).normal(size=(3, *one.input_shape[1:])).astype(np.float32)
    return np.max(np.abs(one.predict_on_batch(faces) - other.predict_on_batch(faces)))


def sums(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.Add)]


@settings(max_examples=12)
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernels=st.lists(st.sampled_from([1, 2, 3, 5]), min_size=2, max_size=3),
    strides=st.integers(1, 3),
    depthwise=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_any_sum_of_convolutions_of_one_tensor_is_one_convolution(size, kernels, strides, depthwise):
    image = keras.Input((*size, 4))
    branches = []
    for kernel, alone in zip(kernels, depthwise, strict=False):
        made = layers.DepthwiseConv2D(kernel, strides, padding="same") if alone else None
        made = made or layers.Conv2D(4, kernel, strides, padding="same")
        branches.append(layers.BatchNormalization()(made(image)))
    model = trained_alike(keras.Model(image, layers.Add()(branches)))
    whole = merged(model)
    assert len(whole.layers) == 2
    assert difference(model, whole) < CLOSE


def test_an_identity_branch_is_merged_too():
    image = keras.Input((8, 8, 4))
    value = layers.ReLU()(image)
    plain = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(value))
    model = trained_alike(
        keras.Model(image, layers.Add()([plain, layers.BatchNormalization()(value), value]))
    )
    whole = merged(model)
    assert not sums(whole)
    assert difference(model, whole) < CLOSE


def _residual(image):
    value = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    return layers.Add()([layers.Conv2D(4, 3, padding="same")(value), image])


def _nonlinear_branch(image):
    return layers.Add()([layers.Conv2D(4, 3, padding="same", activation="relu")(image), image])


def _dilated(image):
    return layers.Add()([layers.Conv2D(4, 3, padding="same", dilation_rate=2)(image), image])


def _cut(image):
    return layers.Add()([layers.Conv2D(4, 3)(image), layers.Cropping2D(1)(image)])


def _broadcast(image):
    return layers.Add()([layers.Conv2D(4, 3, padding="same")(image), layers.Conv2D(1, 1)(image)])


@pytest.mark.parametrize("network", [_residual, _nonlinear_branch, _dilated, _cut, _broadcast])
def test_a_sum_that_is_no_single_convolution_stays(network):
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, network(image))
    assert merged(model) is model


@pytest.mark.parametrize("size", PLANS)
def test_a_student_is_converted_without_its_branches(size):
    options = {"size": size}
    student = trained_alike(build((48, 48, 1), 9, None, options))
    whole = merged(student)
    alone = build((48, 48, 1), 9, None, {**options, "branches": False})
    assert not sums(whole)
    assert cost_of(whole).macs == cost_of(alone).macs < cost_of(student).macs
    assert difference(student, whole) < CLOSE


def test_layers_of_one_name_in_a_body_and_its_head_are_told_apart():
    model = twins()
    whole = merged(model)
    assert not sums(whole)
    assert [layer.name for layer in whole.layers][-2:] == ["twin_2", "sum_2"]
    assert difference(model, whole) < CLOSE
