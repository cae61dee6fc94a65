"""Toy networks with the blocks of real ones, and a workshop whose trainings take seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from training_samples import tiny_dataset

from edgefer.backbones.base import Backbone
from edgefer.compression.base import Batch, Workshop
from edgefer.preprocessing import to_floats
from edgefer.recipe import TrainingPart, Tuning
from edgefer.spec import InputSpec
from edgefer.training.schedule import learning_rate

INPUT = InputSpec(height=32, width=32, channels=3, range=(-1.0, 1.0))
ROWS, BATCH = 48, 16


def inverted_residual() -> Any:
    """MobileNetV2's block on 8x8 maps: expansion, padded depthwise convolution, projection, sum."""
    from keras import Input, Model, layers

    image = Input((32, 32, 3), name="image")
    start = _normed(
        layers.Conv2D(8, 3, strides=4, padding="same", use_bias=False, name="stem")(image), "stem_bn"
    )
    start = layers.ReLU(6.0, name="stem_relu")(start)
    value = _normed(layers.Conv2D(16, 1, use_bias=False, name="expand")(start), "expand_bn")
    value = layers.ZeroPadding2D(1, name="pad")(layers.ReLU(6.0, name="expand_relu")(value))
    value = _normed(layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(value), "depthwise_bn")
    value = layers.ReLU(6.0, name="depthwise_relu")(value)
    value = _normed(layers.Conv2D(8, 1, use_bias=False, name="project")(value), "project_bn")
    value = layers.Add(name="sum")([start, value])
    return Model(image, _head(value), name="inverted_residual")


def squeeze_excite() -> Any:
    """EfficientNet's block: swish, and channels weighed by what two small convolutions make of their means."""
    from keras import Input, Model, layers

    image = Input((32, 32, 3), name="image")
    value = layers.Rescaling(0.5, 0.1, name="rescaling")(image)
    value = layers.Conv2D(8, 3, strides=4, padding="same", use_bias=False, name="stem")(value)
    start = layers.Activation("silu", name="stem_swish")(_normed(value, "stem_bn"))
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="se_mean")(start)
    gate = layers.Conv2D(4, 1, activation="silu", name="se_reduce")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="se_expand")(gate)
    value = layers.Multiply(name="se_multiply")([start, layers.Reshape((1, 1, 8), name="se_reshape")(gate)])
    value = _normed(layers.Conv2D(8, 1, use_bias=False, name="project")(value), "project_bn")
    return Model(image, _head(layers.Add(name="sum")([start, value])), name="squeeze_excite")


def branched() -> Any:
    """A student's blocks: sums of normalised parallel branches, an identity among them where shapes allow."""
    from keras import Input, Model, layers

    image = Input((32, 32, 3), name="image")
    stems = [layers.Conv2D(16, 3, 4, padding="same", use_bias=False, name=f"stem_{n}")(image) for n in "ab"]
    value = _summed(stems, "stem")
    deep = [
        layers.DepthwiseConv2D(size, padding="same", use_bias=False, name=f"depthwise_{size}")(value)
        for size in (3, 1)
    ]
    value = _summed([*deep, value], "depthwise")
    point = layers.Conv2D(16, 1, use_bias=False, name="pointwise_1")(value)
    return Model(image, _head(_summed([point, value], "pointwise")), name="branched")


def _summed(branches: list[Any], name: str) -> Any:
    from keras import layers

    normal = [_normed(branch, f"{name}_norm{number}") for number, branch in enumerate(branches)]
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")(normal))


def _normed(value: Any, name: str) -> Any:
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, name=name)(value)


def _head(value: Any) -> Any:
    from keras import layers

    value = layers.Dropout(0.2, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(value))
    return layers.Dense(9, activation="softmax", name="probabilities")(value)


def seeded(build: Callable[[], Any]) -> Any:
    """The network with the same random weights each time, batch-norm statistics and biases among them."""
    import keras

    keras.utils.set_random_seed(3)
    model = build()
    rng = np.random.default_rng(0)
    model.set_weights(
        [np.abs(w + rng.normal(0, 0.1, w.shape)) if w.ndim == 1 else w for w in model.get_weights()]
    )
    return model


def backbone_of(model: Any) -> Backbone:
    return Backbone(model, INPUT, tiny_dataset().labels, (), model.name, sha256="")


def tuning(epochs: int = 3, **training: Any) -> Tuning:
    return Tuning(training=TrainingPart(epochs=epochs, batch_size=BATCH, learning_rate=0.01, **training))


def workshop(folder: Path, **hooks: Any) -> Workshop:
    """Three batches an epoch of 48 pictures of noise."""
    dataset = tiny_dataset()
    train = dataset.split("train")

    def batches(_: Tuning, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(ROWS)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            yield to_floats(train.pixels[rows], INPUT), train.soft[rows], None

    def unused(*_: Any) -> Any:
        raise AssertionError("this stage trains by itself and times nothing")

    return Workshop(
        original=None,  # type: ignore[arg-type]  # nobody's teacher
        dataset=dataset,
        folder=folder,
        seed=5,
        tune=unused,
        student=unused,
        batches=batches,
        steps=lambda _: ROWS // BATCH,
        rate=learning_rate,
        pace=unused,
        **hooks,
    )


def images(rows: int = 16) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, (rows, 32, 32, 3)).astype(np.float32)
