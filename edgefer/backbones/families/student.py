"""Small networks for gray faces of 48 pixels a side, made for integer hardware.

Depthwise separable blocks (Howard et al. 2017) without squeeze-and-excitation, ReLU only, and no sum that survives
conversion: while a block is trained it has parallel branches, each with a batch normalisation, that add up to one
convolution (Ding et al. 2021, "RepVGG"; Vasu et al. 2023, "MobileOne"). ``backbones.merging`` makes it that one.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from edgefer.backbones.base import Family
from edgefer.backbones.families.heads import HeadOptions, with_head
from edgefer.backbones.families.options import read_options
from edgefer.errors import InputError


class _Plan(NamedTuple):
    """Widths: of the stem's two convolutions, then of each stage with its number of blocks."""

    stem: tuple[int, int]
    stages: tuple[tuple[int, int], ...]


# Each convolution of the stem halves the resolution, and so does every stage after the first: 24, 12 and 6 pixels for
# 48x48 faces. No block works at 24 pixels: on x86 two layers there took half of a small network's time (`edgefer
# explain`), and the second full convolution sees as far.
PLANS = {
    "nano": _Plan((16, 48), ((64, 2), (96, 3))),
    "micro": _Plan((16, 64), ((96, 4), (184, 5))),
    "small": _Plan((32, 96), ((160, 6), (320, 7))),
}


class Options(HeadOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``branches`` trains every convolution as parallel branches; without them the network is as large when trained
    as when converted.
    """

    size: Literal["nano", "micro", "small"] = "nano"
    branches: bool = True
    batch_norm_momentum: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.batch_norm_momentum < 1:
            raise ValueError("batch_norm_momentum must be between 0 and 1")


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels), at least 16 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, or named weights (there are none for it).
    """
    import keras

    chosen = read_options("student", options, Options)
    if weights is not None:
        raise InputError(
            f"student has no pretrained weights {weights!r}",
            hint='write weights = "none", or family = "file" to train a saved student further',
        )
    if min(input_shape[:2]) < 16:
        raise InputError(f"student needs at least 16x16 pixels, not {input_shape[0]}x{input_shape[1]}")
    image = keras.Input(input_shape, name="image")
    plan = PLANS[chosen.size]
    value = image
    for number, width in enumerate(plan.stem, start=1):
        value = _convolution(value, width, f"stem{number}", chosen)
    for number, (width, blocks) in enumerate(plan.stages, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if number > 1 and block == 1 else 1
            value = _separable(value, width, stride, f"stage{number}_block{block}", chosen)
    return with_head(keras.Model(image, value, name="body"), classes, chosen, f"student_{chosen.size}")


def _convolution(value: Any, width: int, name: str, options: Options) -> Any:
    """A full 3x3 convolution that halves the resolution."""
    from keras.layers import Conv2D

    # Not one of 1x1 beside one of 3x3: TensorFlow's oneDNN kernels write outside their memory when a 1x1 convolution
    # of an image with stride 2 is trained.
    branches = [
        Conv2D(width, 3, 2, padding="same", use_bias=False, name=f"{name}_conv{number}")(value)
        for number in range(1, 3 if options.branches else 2)
    ]
    return _sum_of(branches, name, options)


def _separable(value: Any, width: int, stride: int, name: str, options: Options) -> Any:
    """A 3x3 convolution a channel, then a 1x1 convolution across channels."""
    from keras.layers import Conv2D, DepthwiseConv2D

    depthwise = {"padding": "same", "use_bias": False}
    branches = [DepthwiseConv2D(3, stride, name=f"{name}_depthwise3", **depthwise)(value)]
    if options.branches:
        branches.append(DepthwiseConv2D(1, stride, name=f"{name}_depthwise1", **depthwise)(value))
    if options.branches and stride == 1:
        branches.append(value)
    value = _sum_of(branches, f"{name}_depthwise", options)
    branches = [Conv2D(width, 1, use_bias=False, name=f"{name}_pointwise1")(value)]
    if options.branches and value.shape[-1] == width:
        branches.append(value)
    return _sum_of(branches, f"{name}_pointwise", options)


def _sum_of(branches: list[Any], name: str, options: Options) -> Any:
    """ReLU of the normalised branches' sum."""
    from keras.layers import Add, BatchNormalization, ReLU

    normal = [
        BatchNormalization(momentum=options.batch_norm_momentum, name=f"{name}_norm{number}")(branch)
        for number, branch in enumerate(branches, start=1)
    ]
    total = Add(name=f"{name}_sum")(normal) if len(normal) > 1 else normal[0]
    return ReLU(name=f"{name}_relu")(total)


FAMILIES = (Family(id="student", build=build),)
