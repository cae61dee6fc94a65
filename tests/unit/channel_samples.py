"""Small networks with every kind of layer, and what a pruned network has to be equal to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 8


def counts_of(channels: Any, keep: Any) -> Any:
    """How many units a plan keeps in each group, shape (groups,)."""
    return np.array([keep[group.units].sum() for group in channels.groups], np.int64)


def shaken(model: Any, seed: int = 0) -> Any:
    """Random values in every weight, so that no bias, beta or statistic is at a value that hides a mistake."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        values = [_random(rng, weight) for weight in layer.weights] if not hasattr(layer, "layers") else []
        if values:
            layer.set_weights(values)
        # Normalization computes with what it derives from its weights.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _random(rng: np.random.Generator, weight: Any) -> Any:
    if weight.name == "count":
        return np.asarray(weight)
    if "variance" in weight.name or weight.name == "gamma":
        return rng.uniform(0.5, 1.5, weight.shape)
    scale = np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 2.0
    return rng.normal(0, 1 / scale, weight.shape)


def images(channels: int = 3, rows: int = 5, size: int = SIZE) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, (rows, size, size, channels)).astype(np.float32)


def random_keep(channels: Any, seed: int) -> Any:
    """A plan that keeps some units of every group, at least one."""
    rng = np.random.default_rng(seed)
    keep = np.ones(channels.units, np.bool_)
    for group in channels.groups:
        gone = rng.permutation(group.units)[: rng.integers(0, len(group.units))]
        keep[gone] = False
    return keep


def masked(channels: Any, keep: Any) -> Any:
    """The whole network, its removed channels multiplied by zero in front of every layer that sums over them."""
    import keras

    from edgefer.backbones.graph import replay

    uses = {id(use.layer): use for use in channels.uses}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        read = _read(uses[id(layer)])
        if read is None:
            return layer(*args, **kwargs)
        mask = keep[channels.unit_of[read]].astype(np.float32)
        return layer(args[0] * mask, *args[1:], **kwargs)

    image = keras.Input(channels.model.inputs[0].shape[1:])
    return keras.Model(image, replay(channels.model, image, call))


def _read(use: Any) -> Any:
    """Channel numbers of the tensor that a dense layer or convolution reads."""
    if type(use.layer).__name__ == "SeparableConv2D":
        return use.weights[0].ids[2]
    return next((weight.ids[weight.reads] for weight in use.weights if weight.reads is not None), None)


def _network(body: Callable[[Any, Any], Any], channels: int = 3) -> Any:
    """``body(layers, image)`` between an image and a softmax over three classes."""
    import keras

    image = keras.Input((SIZE, SIZE, channels), name="image")
    value = body(keras.layers, image)
    if len(value.shape) == 4:
        value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    output = keras.layers.Dense(3, activation="softmax", name="probabilities")(value)
    return shaken(keras.Model(image, output, name="toy"))


def plain() -> Any:
    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(12, 3, padding="same", use_bias=False, name="conv1")(value)
        value = layers.BatchNormalization(name="norm1")(value)
        value = layers.MaxPooling2D(name="max")(layers.ReLU(6.0, name="relu")(value))
        value = layers.Conv2D(10, 3, strides=2, padding="same", activation="silu", name="conv2")(value)
        value = layers.ZeroPadding2D(name="pad")(layers.AveragePooling2D(1, name="average")(value))
        value = layers.Conv2D(9, 3, dilation_rate=1, name="conv3")(value)
        value = layers.PReLU(shared_axes=[1, 2], name="prelu")(value)
        value = layers.SpatialDropout2D(0.5, name="drop")(layers.LeakyReLU(name="leaky")(value))
        value = layers.GlobalMaxPooling2D(name="pool")(value)
        return layers.Dense(11, activation="relu", name="hidden")(layers.Dropout(0.5, name="drop2")(value))

    return _network(body)


def flattened() -> Any:
    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(6, 3, strides=2, name="conv")(value)
        value = layers.BatchNormalization(scale=False, name="norm")(value)
        value = layers.PReLU(name="prelu")(value)
        value = layers.Flatten(name="flat")(value)
        value = layers.BatchNormalization(name="flat_norm")(value)
        return layers.Dense(7, activation="tanh", name="hidden")(value)

    return _network(body)


def residual() -> Any:
    """Pre-activation blocks on one stream, as in ResNetV2, then an average and a difference."""

    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(8, 3, padding="same", name="stem")(value)
        for number in (1, 2):
            before = layers.Activation("relu", name=f"relu{number}")(
                layers.BatchNormalization(name=f"norm{number}")(value)
            )
            branch = layers.Conv2D(5, 1, activation="sigmoid", name=f"squeeze{number}")(before)
            branch = layers.Conv2D(8, 3, padding="same", name=f"expand{number}")(branch)
            value = layers.Add(name=f"add{number}")([value, branch])
        side = layers.Conv2D(8, 1, name="side")(value)
        mean = layers.Average(name="mean")([value, side, layers.Conv2D(8, 1, name="third")(value)])
        return layers.Maximum(name="max")([mean, layers.Subtract(name="minus")([side, mean])])

    return _network(body)


def inverted() -> Any:
    """Depthwise convolutions, one of them with two outputs a channel, between 1x1 convolutions."""

    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(value)
        inner = layers.Conv2D(12, 1, use_bias=False, name="expand")(value)
        inner = layers.ReLU(name="relu")(layers.BatchNormalization(name="expand_norm")(inner))
        inner = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(inner)
        inner = layers.BatchNormalization(name="depthwise_norm")(inner)
        inner = layers.Conv2D(4, 1, use_bias=False, name="project")(inner)
        return layers.Add(name="add")([value, layers.BatchNormalization(name="project_norm")(inner)])

    return _network(body)


def squeeze_excite() -> Any:
    """Gates made once of 1x1 convolutions on a reshaped mean, once of dense layers that keep the dimensions."""

    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(10, 3, activation="silu", name="conv")(value)
        gate = layers.Reshape((1, 1, 10), name="reshape")(layers.GlobalAveragePooling2D(name="mean")(value))
        gate = layers.Conv2D(4, 1, activation="silu", name="reduce")(gate)
        gate = layers.Conv2D(10, 1, activation="sigmoid", name="expand")(gate)
        value = layers.Multiply(name="excite")([value, gate])
        value = layers.Conv2D(9, 1, name="project")(value)
        gate = layers.GlobalAveragePooling2D(keepdims=True, name="mean2")(value)
        gate = layers.Dense(9, activation="hard_sigmoid", name="gate")(gate)
        return layers.Multiply(name="excite2")([gate, value])

    return _network(body)


def concatenated() -> Any:
    """Offsets of a concatenation, and one that is added to something."""

    def body(layers: Any, value: Any) -> Any:
        left = layers.Conv2D(5, 3, padding="same", name="left")(value)
        right = layers.Conv2D(7, 1, name="right")(value)
        both = layers.Concatenate(name="both")([left, right, left])
        both = layers.BatchNormalization(name="norm")(both)
        both = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(both)
        low = layers.Concatenate(axis=1, name="rows")([left, left])
        low = layers.Conv2D(6, 3, strides=(2, 1), padding="same", name="low")(low)
        mixed = layers.Conv2D(6, 1, name="mixed")(both)
        halves = layers.Concatenate(name="halves")(
            [layers.Conv2D(2, 1, name="two")(value), layers.Conv2D(4, 1, name="four")(value)]
        )
        return layers.Add(name="add")([mixed, low, halves])

    return _network(body)


def separable() -> Any:
    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(value)
        value = layers.SeparableConv2D(
            8, 3, depth_multiplier=2, padding="same", activation="relu", name="first"
        )(value)
        return layers.SeparableConv2D(9, 3, use_bias=False, name="second")(value)

    return _network(body)


def upsampled() -> Any:
    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(6, 3, strides=2, padding="same", name="down")(value)
        value = layers.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu", name="up")(value)
        value = layers.Cropping2D(1, name="crop")(layers.UpSampling2D(name="twice")(value))
        return layers.Conv2D(7, 3, name="conv")(value)

    return _network(body)


def kept_whole() -> Any:
    """Layers that look at all channels at once, and a gate of one channel for all others."""

    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(8, 3, padding="same", name="conv")(value)
        value = layers.Conv2D(12, 3, groups=4, padding="same", name="grouped")(value)
        value = layers.Conv2D(6, 1, name="between")(value)
        value = layers.LayerNormalization(name="norm")(value)
        value = layers.Conv2D(10, 1, name="wide")(value)
        gate = layers.Conv2D(1, 1, activation="sigmoid", name="gate")(value)
        value = layers.Multiply(name="gated")([gate, value])
        value = layers.Conv2D(5, 1, activation="softmax", name="shares")(value)
        value = layers.Conv2D(7, 1, name="last")(value)
        return layers.Permute((2, 3, 1), name="turned")(value)

    return _network(body)


def preprocessing() -> Any:
    def body(layers: Any, value: Any) -> Any:
        value = layers.Rescaling(0.5, 0.1, name="rescaling")(layers.RandomFlip(name="flip")(value))
        value = layers.Normalization(name="norm")(value)
        value = layers.Rescaling([1.0, 2.0, 3.0], name="channelwise")(value)
        return layers.Conv2D(9, 3, name="conv")(value)

    return _network(body)


def nested(inner_name: str = "inner") -> Any:
    """A Sequential and a functional model inside; ``inner_name`` is that of the latter's convolution."""
    import keras

    def body(layers: Any, value: Any) -> Any:
        inner = keras.Sequential(
            [keras.Input(value.shape[1:]), layers.Conv2D(6, 3, name="conv"), layers.ReLU(name="relu")]
        )
        start = keras.Input((SIZE - 2, SIZE - 2, 6))
        branch = layers.Conv2D(6, 3, padding="same", name=inner_name)(start)
        return keras.Model(start, layers.Add(name="add")([start, branch]), name="block")(inner(value))

    return _network(body)


def shared() -> Any:
    """One convolution is called twice: its input and its output are the same channels."""

    def body(layers: Any, value: Any) -> Any:
        value = layers.Conv2D(6, 3, padding="same", name="stem")(value)
        again = layers.Conv2D(6, 3, padding="same", activation="relu", name="again")
        norm = layers.BatchNormalization(name="norm")
        value = norm(again(norm(again(value))))
        return layers.Conv2D(5, 1, name="last")(value)

    return _network(body)


def operations() -> Any:
    """Calculations that Keras writes down as operations and not as layers."""
    from keras import ops

    def body(layers: Any, value: Any) -> Any:
        value = ops.relu(layers.Conv2D(8, 3, padding="same", name="conv")(value))
        other = ops.silu(layers.Conv2D(8, 1, name="other")(value) * 0.5)
        return value + other

    return _network(body)


def gray() -> Any:
    return _network(lambda layers, value: layers.Conv2D(9, 3, name="conv")(value), channels=1)


NETWORKS: dict[str, Callable[[], Any]] = {
    build.__name__: build
    for build in (plain, flattened, residual, inverted, squeeze_excite, concatenated, separable, upsampled, kept_whole,
                  preprocessing, nested, shared, operations, gray)
}  # fmt: skip
