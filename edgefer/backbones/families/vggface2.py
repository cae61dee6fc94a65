"""ResNet-50 and SENet-50 as trained on VGGFace2 (Cao et al. 2018), layer for layer as in keras-vggface, which
frozen prefixes are counted on.

Against ResNet50 of keras.applications their convolutions have no biases and the max-pool no padding, so that
the published weights fit only here. SENet-50 adds squeeze and excitation (Hu et al. 2018) to every block. The
weights were trained on BGR pixels in 0..255 less 91.4953, 103.8827, 131.0912.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgefer.backbones.base import Family
from edgefer.backbones.families.adaptation import AdaptedOptions
from edgefer.backbones.families.face_weights import FaceWeights, with_face_weights
from edgefer.backbones.families.heads import with_head
from edgefer.backbones.families.options import read_options

# Blocks, and filters of the narrow convolutions, of the stages 2 to 5.
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
WIDENING = 4
SQUEEZE = 16


class Options(AdaptedOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``."""


@dataclass(frozen=True)
class Network:
    """What tells one of the two networks from the other."""

    id: str
    weights: FaceWeights
    epsilon: float
    excited: bool


NETWORKS = (
    Network("facenet-resnet50", FaceWeights("vggface2", "rcmalli_vggface_tf_notop_resnet50.h5"), 1e-3, False),
    Network("senet50", FaceWeights("vggface2", "rcmalli_vggface_tf_notop_senet50.h5"), 1e-4, True),
)


def build(
    network: Network,
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
    options: dict[str, Any],
) -> Any:
    """Return the uncompiled ``network`` for ``input_shape`` (height, width, channels).

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: weights given by name.
    """
    chosen = read_options(network.id, options, Options)
    body = with_face_weights(lambda: _body(network, input_shape, chosen), weights, network.weights)
    return with_head(body, classes, chosen, network.id.replace("-", "_"))


def _body(network: Network, input_shape: tuple[int, int, int], options: Options) -> Any:
    from keras import Input, Model, layers

    normal = partial(layers.BatchNormalization, momentum=options.batch_norm_momentum, epsilon=network.epsilon)
    convolve = partial(_convolution, normal)
    excite = _excitation if network.excited else _plain
    image = Input(input_shape, name="image")
    value = convolve(image, 64, 7, options.stem_stride, "conv1_7x7_s2")
    value = layers.ReLU(name="conv1_relu")(value)
    value = layers.MaxPooling2D(3, strides=2, name="pool1")(value)
    for stage, (blocks, filters) in enumerate(STAGES, start=2):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            value = _block(value, filters, stride, f"conv{stage}_{block}", convolve, excite)
    return Model(image, value)


def _block(
    value: Any,
    filters: int,
    stride: int,
    name: str,
    convolve: Callable[..., Any],
    excite: Callable[[Any, str], Any],
) -> Any:
    """A bottleneck and its shortcut, which is projected where the shape changes."""
    from keras import layers

    wide = filters * WIDENING
    inner = layers.ReLU(name=f"{name}_relu1")(convolve(value, filters, 1, stride, f"{name}_1x1_reduce"))
    inner = layers.ReLU(name=f"{name}_relu2")(convolve(inner, filters, 3, 1, f"{name}_3x3"))
    inner = excite(convolve(inner, wide, 1, 1, f"{name}_1x1_increase"), name)
    if value.shape[-1] != wide:
        value = convolve(value, wide, 1, stride, f"{name}_1x1_proj")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([inner, value]))


def _convolution(
    normal: Callable[..., Any], value: Any, filters: int, size: int, stride: int, name: str
) -> Any:
    from keras import layers

    convolution = layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
    return normal(name=f"{name}_bn")(convolution(value))


def _plain(value: Any, _: str) -> Any:
    return value


def _excitation(value: Any, name: str) -> Any:
    """Weigh the channels by what all positions say together."""
    from keras import layers

    channels = value.shape[-1]
    weight = layers.GlobalAveragePooling2D(name=f"{name}_squeeze")(value)
    weight = layers.Reshape((1, 1, channels), name=f"{name}_map")(weight)
    weight = layers.Conv2D(channels // SQUEEZE, 1, name=f"{name}_1x1_down")(weight)
    weight = layers.ReLU(name=f"{name}_down_relu")(weight)
    weight = layers.Conv2D(channels, 1, name=f"{name}_1x1_up")(weight)
    weight = layers.Activation("sigmoid", name=f"{name}_up_sigmoid")(weight)
    return layers.Multiply(name=f"{name}_excite")([value, weight])


FAMILIES = tuple(Family(id=network.id, build=partial(build, network)) for network in NETWORKS)
