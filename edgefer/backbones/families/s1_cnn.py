"""S1's small networks: 3x3 convolutions, a max-pool after every second one, trained from scratch on 48x48 faces."""

from __future__ import annotations

from typing import Any

from edgefer.backbones.base import Family
from edgefer.backbones.families.options import read_options
from edgefer.errors import InputError
from edgefer.spec import Frozen


class Options(Frozen, frozen=True):
    """Settings of a recipe's ``[backbone.options]``; the document gives 32 filters and dropout 0.5, no dense width.

    Four ``convolutions`` are the document's baseline.
    """

    convolutions: int = 4
    filters: int = 32
    dense: int = 128
    dropout: float = 0.5
    batch_norm_momentum: float = 0.9

    def __post_init__(self) -> None:
        if (
            min(self.convolutions, self.filters, self.dense) < 1
            or not 0 <= self.dropout < 1
            or not 0 < self.batch_norm_momentum < 1
        ):
            raise ValueError(
                "convolutions, filters and dense must be positive, dropout and batch_norm_momentum shares"
            )


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels).

    Raises:
        InputError: an unknown or bad option, more max-pools than the image has pixels for, or named weights (there
            are none for it).
    """
    import keras

    chosen = read_options("s1-cnn", options, Options)
    if weights is not None:
        raise InputError(f"s1-cnn has no pretrained weights {weights!r}", hint='write weights = "none"')
    smallest = 2 ** (chosen.convolutions // 2)
    if min(input_shape[:2]) < smallest:
        raise InputError(
            f"s1-cnn with {chosen.convolutions} convolutions needs images of {smallest} pixels a side"
        )
    image = keras.Input(input_shape, name="image")
    value = image
    for number in range(1, chosen.convolutions + 1):
        value = keras.layers.Conv2D(chosen.filters, 3, padding="same", use_bias=False, name=f"conv{number}")(
            value
        )
        value = keras.layers.BatchNormalization(momentum=chosen.batch_norm_momentum, name=f"norm{number}")(
            value
        )
        value = keras.layers.ReLU(name=f"relu{number}")(value)
        if number % 2 == 0:
            value = keras.layers.MaxPooling2D(name=f"pool{number // 2}")(value)
    value = keras.layers.Flatten(name="flat")(value)
    value = keras.layers.Dense(chosen.dense, activation="relu", name="dense")(value)
    value = keras.layers.Dropout(chosen.dropout, name="dropout")(value)
    return keras.Model(
        image, keras.layers.Dense(classes, activation="softmax", name="probabilities")(value), name="s1_cnn"
    )


FAMILIES = (Family(id="s1-cnn", build=build),)
