"""VGG16 and VGG19 (Simonyan and Zisserman 2015) of keras.applications, and VGGFace's VGG16 (Parkhi et al. 2015).

The ImageNet weights were trained on BGR pixels in 0..255 less 103.939, 116.779, 123.68, VGGFace's less 93.5940,
104.7624, 129.1863. Five max-pools leave nothing to adapt: an image of 32 pixels ends at one position.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from edgefer.backbones.base import Family
from edgefer.backbones.families.face_weights import FaceWeights, with_face_weights
from edgefer.backbones.families.heads import HeadOptions, with_head
from edgefer.backbones.families.options import read_options
from edgefer.backbones.families.weights import application

# Convolutions and filters of VGG16's five blocks.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
VGGFACE = FaceWeights("vggface", "rcmalli_vggface_tf_notop_vgg16.h5")


class Options(HeadOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``: the head only."""

    pooling: Literal["average", "flatten"] = "flatten"
    dropout: float = 0.5


def build(
    network: str,
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
    options: dict[str, Any],
) -> Any:
    """Return the uncompiled ``network`` (VGG16 …) for ``input_shape``, at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: named weights cannot be fetched.
    """
    chosen = read_options(network.lower(), options, Options)
    body = application(network, input_shape, weights)
    if weights is None:
        _initialize(body)
    return with_head(body, classes, chosen, network.lower())


def build_vggface(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled VGG16 with VGGFace's layer names, for at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: weights given by name.
    """
    chosen = read_options("vggface-vgg16", options, Options)
    body = with_face_weights(lambda: _vggface(input_shape), weights, VGGFACE)
    return with_head(body, classes, chosen, "vggface_vgg16")


def _vggface(input_shape: tuple[int, int, int]) -> Any:
    from keras import Input, Model, layers

    image = Input(input_shape, name="input")
    value = image
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            name = f"conv{block}_{number}"
            value = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(value)
        value = layers.MaxPooling2D(2, name=f"pool{block}")(value)
    body = Model(image, value)
    _initialize(body)
    return body


def _initialize(body: Any) -> None:
    """He et al. (2015): under Keras' default the signal fades out over 13 layers without normalisation."""
    import keras

    for layer in body.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))


FAMILIES = (
    Family(id="vgg16", build=partial(build, "VGG16")),
    Family(id="vgg19", build=partial(build, "VGG19")),
    Family(id="vggface-vgg16", build=build_vggface),
)
