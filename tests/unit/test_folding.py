"""Folding preprocessing into the first layer changes nothing but the place where it happens."""

import numpy as np
import pytest

from edgefer.preprocessing import to_floats
from edgefer.spec import InputSpec
from tests.networks import twins

keras = pytest.importorskip("keras")
layers = keras.layers

GRAY = {"height": 12, "width": 12, "channels": 3, "color": "gray"}
RANGES = {
    "centred": {"range": (-1.0, 1.0)},
    "unit": {"range": (0.0, 1.0)},
    "pixels": {"range": (0.0, 255.0)},
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
}


def network(*front, channels=3):
    image = keras.Input((12, 12, channels))
    value = image
    for layer in front:
        value = layer(value)
    value = layers.Conv2D(4, 3, activation="relu", kernel_initializer="he_normal")(value)
    value = layers.GlobalAveragePooling2D()(value)
    return keras.Model(image, layers.Dense(3, activation="softmax")(value))


def check(model, spec, *, folded):
    from edgefer.formats.folding import raw_model

    raw = raw_model(model, spec)
    pixels = np.random.default_rng(3).integers(0, 256, (5, 12, 12, spec.pixel_channels), np.uint8)
    expected = np.asarray(model(to_floats(pixels, spec), training=False))
    # float32 sums of some hundred products up to 255 large, in another order
    np.testing.assert_allclose(
        np.asarray(raw.model(pixels.astype(np.float32), training=False)), expected, atol=2e-5
    )
    assert raw.folded is folded


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize(
    ("padding", "strides", "dilation"), [("same", 2, 1), ("same", 1, 1), ("valid", 2, 1), ("same", 1, 2)]
)
def test_a_convolution_takes_the_range_and_the_gray_channels_in(name, padding, strides, dilation):
    spec = InputSpec(**GRAY, **RANGES[name])
    first = layers.Conv2D(
        5, 3, strides=strides, padding=padding, dilation_rate=dilation, bias_initializer="normal"
    )
    # With a zero-padded border, three different offsets cannot become one gray value.
    check(network(first), spec, folded=not (name == "imagenet" and padding == "same"))


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_colour_order_goes_into_the_kernel(color):
    spec = InputSpec(height=12, width=12, channels=3, color=color, range=(-1.0, 1.0))
    check(network(layers.Conv2D(5, 3, padding="same", use_bias=False)), spec, folded=True)


def test_explicit_padding_before_the_convolution_is_kept():
    spec = InputSpec(**GRAY, range=(-1.0, 1.0))
    check(network(layers.ZeroPadding2D(((1, 2), (0, 3))), layers.Conv2D(5, 7, strides=2)), spec, folded=True)


def test_rescaling_and_normalization_layers_go_in_too():
    front = (
        layers.Rescaling(1 / 127.5, -1),
        layers.Normalization(mean=[0.1, 0.1, 0.1], variance=[0.25, 0.25, 0.25]),
    )
    check(
        network(*front, layers.Conv2D(5, 3, padding="same")),
        InputSpec(**GRAY, range=(0.0, 255.0)),
        folded=True,
    )


def test_augmentation_and_dropout_in_front_are_passed():
    front = (layers.RandomFlip(), layers.Dropout(0.5), layers.Conv2D(5, 3, padding="same"))
    check(network(*front), InputSpec(**GRAY, range=(0.0, 1.0)), folded=True)


@pytest.mark.parametrize("first", [layers.DepthwiseConv2D(3), layers.SeparableConv2D(4, 3, padding="same"),
                                   layers.MaxPooling2D(), layers.BatchNormalization()])  # fmt: skip
def test_other_first_layers_get_their_input_explicitly(first):
    check(network(first), InputSpec(**GRAY, range=(-1.0, 1.0)), folded=False)


def test_a_branch_at_the_input_is_served_on_both_sides():
    image = keras.Input((12, 12, 3))
    left = layers.Conv2D(4, 3, padding="same")(image)
    right = layers.AveragePooling2D(1)(image)
    value = layers.GlobalAveragePooling2D()(layers.Concatenate()([left, right]))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(value))
    check(model, InputSpec(**GRAY, range=(-1.0, 1.0)), folded=False)


def test_new_layers_have_names_that_no_layer_of_a_loaded_network_has():
    model = network(layers.ZeroPadding2D(1), layers.MaxPooling2D())
    for layer, name in zip(model.layers[1:4:2], ("zero_padding2d", "conv2d"), strict=True):
        layer.name = name
    keras.utils.clear_session()  # a process that has loaded a network numbers its own layers from the start
    check(model, InputSpec(**GRAY, **RANGES["imagenet"]), folded=False)


def test_two_convolutions_of_the_image_are_both_folded():
    image = keras.Input((12, 12, 3))
    sides = [layers.Conv2D(4, size, padding="same")(image) for size in (3, 5)]
    value = layers.GlobalAveragePooling2D()(layers.Concatenate()(sides))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(value))
    check(model, InputSpec(**GRAY, range=(-1.0, 1.0)), folded=True)


def test_nested_models_are_opened():
    body = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(4, 3, padding="same"), layers.ReLU()])
    image = keras.Input((12, 12, 3))
    value = layers.GlobalAveragePooling2D()(body(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(value))
    check(model, InputSpec(**GRAY, range=(-1.0, 1.0)), folded=True)


def test_layers_of_one_name_in_a_body_and_its_head_are_told_apart():
    check(twins(), InputSpec(**GRAY, range=(-1.0, 1.0)), folded=True)


def test_the_original_network_keeps_its_weights():
    from edgefer.formats.folding import raw_model

    model = network(layers.Conv2D(5, 3, padding="same"))
    before = [w.copy() for w in model.get_weights()]
    raw_model(model, InputSpec(**GRAY, range=(-1.0, 1.0)))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
