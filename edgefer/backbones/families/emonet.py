"""S4's EmoNet, which the document uses to check that its merged set is consistent.

The document shows it as a picture only, "based on" Duncan, Shine and English, "Facial Emotion Recognition in Real
Time" (2016). As we read that work, which the document does not confirm, it retrains VGG-S, the CNN-S of Chatfield et
al. 2014 ("Return of the Devil in the Details"): so this is that network, five convolutions and two layers of 4096.
Chosen here: batch normalisation in place of local response normalisation, for training from scratch, and padding that
keeps the borders, for 64x64 instead of 224x224 pixels.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from edgefer.backbones.base import Family
from edgefer.backbones.families.adaptation import AdaptedOptions
from edgefer.backbones.families.heads import with_head
from edgefer.backbones.families.options import read_options
from edgefer.errors import InputError


class Options(AdaptedOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``."""

    pooling: Literal["average", "flatten"] = "flatten"
    head_units: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    batch_norm_momentum: float = 0.9


class _Convolution(NamedTuple):
    """``pool`` is side and stride of the max-pool that follows; 1 pools nothing."""

    filters: int
    kernel: int
    pool: int


_CONVOLUTIONS = (
    _Convolution(96, 7, 3),
    _Convolution(256, 5, 2),
    _Convolution(512, 3, 1),
    _Convolution(512, 3, 1),
    _Convolution(512, 3, 3),
)


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels).

    Raises:
        InputError: an unknown or bad option, or named weights (there are none for it).
    """
    chosen = read_options("emonet", options, Options)
    if weights is not None:
        raise InputError(f"emonet has no pretrained weights {weights!r}", hint='write weights = "none"')
    return with_head(_body(input_shape, chosen), classes, chosen, "emonet")


def _body(input_shape: tuple[int, int, int], options: Options) -> Any:
    from keras import Input, Model, layers

    image = Input(input_shape, name="image")
    value = image
    for number, (filters, kernel, pool) in enumerate(_CONVOLUTIONS, start=1):
        stride = options.stem_stride if number == 1 else 1
        value = layers.Conv2D(
            filters,
            kernel,
            stride,
            "same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(value)
        value = layers.BatchNormalization(momentum=options.batch_norm_momentum, name=f"norm{number}")(value)
        value = layers.ReLU(name=f"relu{number}")(value)
        if pool > 1:
            value = layers.MaxPooling2D(pool, padding="same", name=f"pool{number}")(value)
    return Model(image, value, name="convolutions")


FAMILIES = (Family(id="emonet", build=build),)
