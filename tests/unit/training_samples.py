"""A tiny labelled set, network and recipe: a training run of seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefer.backbones.base import Family
from edgefer.datasets.base import Dataset, Split, Subset
from edgefer.errors import WeightsUnavailableError
from edgefer.recipe import Recipe
from edgefer.recipe_loading import load_recipe
from edgefer.spec import LabelSet

NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown")
TINY = (
    "backbone={family='tiny', options={}}",
    "training.epochs=2",
    "training.batch_size=16",
    "input={height=32, width=32, channels=3, color='gray', range=[-1.0, 1.0]}",
)


def build_tiny(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """One convolution, batch norm, dropout: everything with a state. MobileNetV2 takes a minute to trace."""
    from keras import Sequential, layers

    assert not options
    if weights:
        raise WeightsUnavailableError(f"{weights} weights could not be fetched: no route")
    return Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(4, 3, strides=4, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(classes, activation="softmax"),
        ]
    )


TINY_FAMILY = Family(id="tiny", build=build_tiny)


def tiny_recipe(*overrides: str) -> Recipe:
    return load_recipe("s0-mobilenetv2", (*TINY, *overrides))


def tiny_subset(rows: int, seed: int) -> Subset:
    """Noise whose brightness tells the class: dark neutral, bright happiness."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    noise = rng.integers(0, 100, (rows, 32, 32, 1))
    pixels = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    return Subset(pixels, labels, np.eye(9, dtype=np.float32)[labels], np.arange(rows) % 4 == 0)


# What training says of ``tiny_dataset``: its rows are of two classes.
UNTAUGHT = f"no training row is of {', '.join(NAMES[2:])}: the network cannot learn to tell them"


def tiny_dataset(*, splits: Sequence[Split] = ("train", "validation", "test")) -> Dataset:
    rows = {"train": 48, "validation": 16, "test": 16}
    parts = {name: tiny_subset(rows[name], seed) for seed, name in enumerate(splits)}
    return Dataset("tiny", LabelSet(source="ferplus-9", names=NAMES), parts)
