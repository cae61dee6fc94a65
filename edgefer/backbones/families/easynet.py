"""S4's EasyNet, trained from scratch on 64x64 faces: conv 5x5, pool 3x3, conv 5x5, pool 3x3, conv 4x4, FC 128, softmax.

The document gives no more than that list. Chosen here: the widths, ReLU, strides of 2 in the pools, padding that
keeps the borders, batch normalisation and dropout.
"""

from __future__ import annotations

from typing import Any, Literal

from edgefer.backbones.base import Family
from edgefer.backbones.families.heads import HeadOptions, with_head
from edgefer.backbones.families.options import read_options
from edgefer.errors import InputError

# Sides of the three convolutions' kernels.
KERNELS = (5, 5, 4)


class Options(HeadOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``filters`` are the widths of the three convolutions; ``batch_norm`` normalises after each of them.
    """

    pooling: Literal["average", "flatten"] = "flatten"
    head_units: tuple[int, ...] = (128,)
    dropout: float = 0.5
    filters: tuple[int, int, int] = (32, 64, 128)
    batch_norm: bool = True
    batch_norm_momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.filters) < 1:
            raise ValueError("filters must be positive")
        if not 0 < self.batch_norm_momentum < 1:
            raise ValueError("batch_norm_momentum must be between 0 and 1")


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels).

    Raises:
        InputError: an unknown or bad option, or named weights (there are none for it).
    """
    chosen = read_options("easynet", options, Options)
    if weights is not None:
        raise InputError(f"easynet has no pretrained weights {weights!r}", hint='write weights = "none"')
    return with_head(convolutions(input_shape, chosen), classes, chosen, "easynet")


def convolutions(input_shape: tuple[int, int, int], options: Options) -> Any:
    """The three convolutions with the two pools between them; the maps have a quarter of the input's side."""
    from keras import Input, Model, layers

    image = Input(input_shape, name="image")
    value = image
    for number, (filters, kernel) in enumerate(zip(options.filters, KERNELS, strict=True), start=1):
        if number > 1:
            value = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number - 1}")(value)
        value = layers.Conv2D(
            filters, kernel, padding="same", kernel_initializer="he_normal", name=f"conv{number}"
        )(value)
        if options.batch_norm:
            value = layers.BatchNormalization(momentum=options.batch_norm_momentum, name=f"norm{number}")(
                value
            )
        value = layers.ReLU(name=f"relu{number}")(value)
    return Model(image, value, name="convolutions")


FAMILIES = (Family(id="easynet", build=build),)
