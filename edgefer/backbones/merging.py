"""Parallel convolutions of one tensor that are summed become one convolution.

What training as several branches leaves behind (Ding et al. 2021, "RepVGG: Making VGG-style ConvNets Great Again",
section 3.3): convolutions, depthwise ones, batch normalisations and identities are all linear, so the sum of those with
one source and one stride is a single convolution with a bias.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import cost_of, replay
from edgefer.backbones.rebuilding import distinct
from edgefer.spec import Cost

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """What a chain of linear layers makes of the tensor ``source``.

    ``kernel`` (height, width, channels, 1) for one kernel a channel, else (height, width, inputs, outputs); ``bias``
    (outputs,). ``padding`` is "same" as TensorFlow does it.
    """

    source: Any
    kernel: Array
    bias: Array
    strides: tuple[int, int]
    depthwise: bool


@dataclass
class _Seen:
    """The tensors that are linear in another one, by identity; ``made`` counts merged sums."""

    linear: dict[int, tuple[Any, Linear]] = field(default_factory=dict)
    made: int = 0

    def of(self, tensor: Any) -> Linear:
        """How ``tensor`` follows from its source; any tensor follows from itself."""
        if id(tensor) in self.linear:
            return self.linear[id(tensor)][1]
        channels = tensor.shape[-1]
        return Linear(tensor, np.ones((1, 1, channels, 1)), np.zeros(channels), (1, 1), depthwise=True)

    def keep(self, tensor: Any, linear: Linear | None) -> None:
        """Remember what ``tensor`` is; holding on to it keeps its identity from being given away."""
        if linear is not None:
            self.linear[id(tensor)] = tensor, linear


def merged(model: Any) -> Any:
    """Return ``model`` with every sum of parallel linear branches as one convolution; itself if it has none.

    Layers that stay are shared with ``model``, unless two have one name: all are copies then, each under its own.
    """
    import keras

    seen, model = _Seen(), distinct(model)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.layers.Add) and (whole := _summed(layer, args[0], seen)) is not None:
            return whole
        output = layer(*args, **kwargs)
        if len(args) == 1 and _is_map(args[0]):
            seen.keep(output, _linear(layer, args[0], seen))
        return output

    start = keras.Input(tuple(model.inputs[0].shape[1:]), name=model.inputs[0].name)
    output = replay(model, start, call)
    return keras.Model(start, output, name=model.name) if seen.made else model


def converted_cost(model: Any) -> Cost:
    """What ``model`` costs where it is used: parallel branches are one convolution there."""
    return cost_of(merged(model))


def _is_map(value: Any) -> bool:
    return hasattr(value, "shape") and len(value.shape) == 4


def _linear(layer: Any, value: Any, seen: _Seen) -> Linear | None:
    """How the layer's output follows from a source, None if it is not one of the layers that can be merged."""
    import keras

    if isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, 3):
        return _normalised(layer, seen.of(value))
    plain = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    if type(layer) not in plain or not _mergeable(layer):
        return None
    depthwise = type(layer) is keras.layers.DepthwiseConv2D
    kernel = np.asarray(layer.kernel, np.float64)
    channels = kernel.shape[2] if depthwise else kernel.shape[3]
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(channels)
    return Linear(value, kernel, bias, tuple(layer.strides), depthwise)


def _mergeable(layer: Any) -> bool:
    import keras

    same = layer.padding == "same" or tuple(layer.kernel_size) == (1, 1)
    alone = getattr(layer, "depth_multiplier", 1) == getattr(layer, "groups", 1) == 1
    linear = layer.activation is keras.activations.linear
    return bool(same and alone and linear and set(layer.dilation_rate) == {1}) and (
        layer.data_format == "channels_last"
    )


def _normalised(layer: Any, before: Linear) -> Linear:
    """Batch normalisation with its running statistics, put into the map before it."""
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    factor = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, np.float64)
    shift = np.asarray(layer.beta, np.float64) if layer.center else 0.0
    along = factor[:, None] if before.depthwise else factor
    return replace(before, kernel=before.kernel * along, bias=(before.bias - mean) * factor + shift)


def _summed(layer: Any, values: Any, seen: _Seen) -> Any:
    """The sum of ``values`` as one convolution, None if they are no linear maps of one tensor, or of other sizes."""
    if not all(_is_map(value) for value in values) or len({value.shape[1:] for value in values}) > 1:
        return None
    parts = [seen.of(value) for value in values]
    if len({id(part.source) for part in parts}) > 1 or len({part.strides for part in parts}) > 1:
        return None
    whole = _sum([_aligned(part, parts) for part in parts])
    output = _realised(whole, layer.name)
    seen.made += 1
    seen.keep(output, whole)
    return output


def _aligned(part: Linear, parts: list[Linear]) -> Linear:
    """The same map with a kernel as large, and of the kind, that all ``parts`` can share."""
    height, width = (max(other.kernel.shape[axis] for other in parts) for axis in (0, 1))
    kernel = part.kernel
    depthwise = all(other.depthwise for other in parts)
    if part.depthwise and not depthwise:
        kernel = kernel * np.eye(kernel.shape[2])
    grown = np.zeros((height, width, *kernel.shape[2:]))
    top, left = (
        _before(part.source.shape[1 + axis], size, part.strides[axis])
        - _before(part.source.shape[1 + axis], kernel.shape[axis], part.strides[axis])
        for axis, size in enumerate((height, width))
    )
    grown[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    return replace(part, kernel=grown, depthwise=depthwise)


def _before(size: int, kernel: int, stride: int) -> int:
    """Zeros that "same" padding puts in front: the odd one goes to the end."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2


def _sum(parts: list[Linear]) -> Linear:
    kernel = np.sum([part.kernel for part in parts], axis=0)
    return replace(parts[0], kernel=kernel, bias=np.sum([part.bias for part in parts], axis=0))


def _realised(whole: Linear, name: str) -> Any:
    """A convolution layer that does what ``whole`` says."""
    from keras.layers import Conv2D, DepthwiseConv2D

    size, common = whole.kernel.shape[:2], {"padding": "same", "name": name}
    if whole.depthwise:
        layer = DepthwiseConv2D(size, whole.strides, **common)
    else:
        layer = Conv2D(whole.kernel.shape[3], size, whole.strides, **common)
    output = layer(whole.source)
    layer.set_weights([whole.kernel.astype(np.float32), whole.bias.astype(np.float32)])
    return output
