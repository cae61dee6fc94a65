"""Small networks with everything that int8 simulation has to understand, and weights that are not tame."""

from dataclasses import MISSING, fields
from typing import Any

import numpy as np


def separable_network() -> Any:
    """Nested, with batch norms, a separable convolution, a plain operation, swish and a dense activation."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3))
    value = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(image)
    value = body()(value)
    value = layers.SeparableConv2D(6, 3, padding="same", activation="relu", depth_multiplier=2)(value)
    value = layers.BatchNormalization()(layers.SeparableConv2D(6, 3, use_bias=False)(value))
    value = layers.Conv2D(6, 1, activation="swish")(layers.Dropout(0.3)(value))
    value = keras.ops.add(value, keras.ops.sigmoid(value))
    value = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(value))
    return with_norms(keras.Model(image, layers.Dense(3, activation="softmax")(value), name="separable"))


def body() -> Any:
    import keras

    layers = keras.layers
    inner = keras.Input((6, 6, 6))
    value = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(6, 1)(inner)))
    value = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depth_multiplier=2)(value)
    value = layers.ReLU()(layers.BatchNormalization(scale=False)(value))
    value = layers.BatchNormalization()(layers.Conv2D(6, 1, use_bias=False)(value))
    return keras.Model(inner, layers.Add()([inner, value]))


def mobile_network(*, cap: float | None = None, classes: int = 3) -> Any:
    """Inverted bottlenecks whose channels differ by orders of magnitude, as after training with batch norms."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(2)
    image = value = keras.Input((12, 12, 3))
    for number in range(2):
        value = layers.Conv2D(16, 1, use_bias=False, name=f"expand_{number}")(value)
        value = layers.ReLU(cap)(layers.BatchNormalization()(value))
        value = layers.ZeroPadding2D(1)(value)
        value = layers.DepthwiseConv2D(3, use_bias=False, name=f"depth_{number}")(value)
        value = layers.ReLU(cap)(layers.BatchNormalization()(value))
        value = layers.Conv2D(8, 1, use_bias=False, name=f"project_{number}")(value)
        value = layers.BatchNormalization()(value)
    value = layers.GlobalAveragePooling2D()(value)
    return with_norms(keras.Model(image, layers.Dense(classes, activation="softmax", name="head")(value)))


def with_norms(model: Any, *, seed: int = 5) -> Any:
    """Batch norms as after training on data of many scales."""
    import keras

    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            for name, draw in (
                ("gamma", rng.lognormal(0, 0.7, layer.moving_mean.shape)),
                ("beta", rng.normal(0, 0.3, layer.moving_mean.shape)),
                ("moving_mean", rng.normal(0, 0.3, layer.moving_mean.shape)),
                ("moving_variance", rng.lognormal(0, 1.0, layer.moving_mean.shape)),
            ):
                if getattr(layer, name) is not None:
                    getattr(layer, name).assign(draw)
    return model


def noise(rows: int, *, seed: int = 0) -> Any:
    """Network inputs float32 (rows, 12, 12, 3)."""
    return np.random.default_rng(seed).normal(size=(rows, 12, 12, 3)).astype(np.float32)


def stage_run(stage: Any, model: Any, folder: Any) -> tuple[Any, Any]:
    """A stage's result on synthetic faces of 12x12, and the backbone it started from."""
    from edgefer.backbones.base import Backbone
    from edgefer.compression.base import Workshop
    from edgefer.datasets.loading import load
    from edgefer.spec import InputSpec

    dataset = load("synthetic", None, size=(12, 12))
    spec = InputSpec(height=12, width=12, channels=3, range=(-1.0, 1.0))
    backbone = Backbone(model, spec, dataset.labels, (), "small", "")
    given = {"dataset": dataset, "folder": folder, "seed": 0}
    training = {
        one.name: _unused for one in fields(Workshop) if one.default is MISSING and one.name not in given
    }
    workshop = Workshop(**given, **training)
    return stage.run(backbone, stage.options(images=32), workshop), backbone


def _unused(*_: Any) -> Any:
    raise AssertionError("these stages do not train")
