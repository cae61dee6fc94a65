"""Networks with seeded weights whose outputs spread, so that comparing them proves something.

Plainly initialised deep networks answer the same for every image. Here batch-norm statistics come from real inputs, and
the last layer reads the directions in which the features vary most, so that classes differ from image to image and the
signal stands well above quantization noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LOGIT_STD = 1.5
LEADING = 3
RESIDUAL_SHARE = 0.2


def spread(model: Any, floats: Any, *, seed: int = 0) -> Any:
    """Set batch-norm statistics and the last Dense layer of a classifier from ``floats`` (N, H, W, C)."""
    import keras

    _calm_residuals(model)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(floats, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    _spread_last(model, floats, seed)
    return model


def _calm_residuals(model: Any) -> None:
    """Let the branches of residual blocks add little, as in a trained network; random ones multiply every rounding."""
    for layer in model._flatten_layers():
        if layer.name.lower().endswith("project_bn"):
            layer.gamma.assign(layer.gamma * RESIDUAL_SHARE)
        elif layer.name.endswith("_3_conv"):
            layer.kernel.assign(layer.kernel * RESIDUAL_SHARE)


def _spread_last(model: Any, floats: Any, seed: int) -> None:
    import keras

    dense = model.layers[-1]
    features = np.asarray(keras.Model(model.inputs[0], dense.input)(floats))
    centred = features - features.mean(axis=0)
    # The leading directions, mixed so that no class owns one.
    directions = np.linalg.svd(centred, full_matrices=False)[2][:LEADING]
    mix = np.linalg.qr(np.random.default_rng(seed).normal(size=(dense.units, LEADING)))[0]
    kernel = directions.T @ mix.T
    kernel = kernel / (centred @ kernel).std(axis=0) * LOGIT_STD
    dense.set_weights([kernel.astype(np.float32), (-features.mean(axis=0) @ kernel).astype(np.float32)])


def application(name: str, size: int = 48, classes: int = 9, **options: Any) -> Any:
    """A network of keras.applications on (size, size, 3) with S0's head and random weights."""
    import keras

    keras.utils.set_random_seed(1)
    if name.startswith("EfficientNetV2"):
        options.setdefault("include_preprocessing", False)
    body = getattr(keras.applications, name)(
        input_shape=(size, size, 3), include_top=False, weights=None, **options
    )
    features = keras.layers.GlobalAveragePooling2D()(body.output)
    features = keras.layers.Dropout(0.2)(features)
    output = keras.layers.Dense(classes, activation="softmax", name="probabilities")(features)
    return keras.Model(body.input, output, name=name.lower())


def twins() -> Any:
    """A nested body on images of 12x12 and a head that have layers of one name; the body ends in a residual sum."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(8)
    inner = keras.Input((12, 12, 3))
    value = layers.Conv2D(4, 3, padding="same", activation="relu", name="twin")(inner)
    value = layers.Add(name="sum")([value, layers.Conv2D(4, 1)(value)])
    image = keras.Input((12, 12, 3))
    value = layers.Flatten()(keras.Model(inner, value, name="body")(image))
    value = layers.Dense(6, activation="relu", name="twin")(value)
    return keras.Model(image, layers.Dense(9, activation="softmax", name="sum")(value), name="twins")


def numbered() -> Any:
    """Two residual sums, a product with a number and a mean, named as in a process that has just loaded them."""
    import keras

    keras.utils.set_random_seed(9)
    keras.utils.clear_session()
    image = value = keras.Input((12, 12, 3))
    value = keras.layers.Conv2D(4, 3, name="stem")(value)
    for number in range(2):
        value = value + keras.layers.Conv2D(4, 3, padding="same", name=f"branch_{number}")(value)
    value = keras.ops.mean(value * 2.0, axis=(1, 2))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="head")(value))
    keras.utils.clear_session()
    return model
