"""A network as converters see it: branches merged, batch normalization folded, one operation a layer.

What a quantizer quantizes are not Keras' layers. A batch normalization is part of the convolution before it, a
separable convolution is two, an activation an operation of its own. Here a network is rebuilt in that form, as a Keras
model with weights of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import Call, calls, consumers, replay
from edgefer.backbones.merging import merged
from edgefer.backbones.rebuilding import again, copied_weights, difference, free_name
from edgefer.errors import ConversionError, InputError
from edgefer.interop import give

Weights = npt.NDArray[np.float64]
# Folding rounds weights anew: a deep network's outputs move by 1e-5 in float32, by almost 1e-2 in half precision.
TOLERANCE, HALF_TOLERANCE = 1e-3, 3e-2


class Affinity(NamedTuple):
    """A layer's kernel and bias (output channels,), on their way into a copy of the layer."""

    kernel: Weights
    bias: Weights


def has_kernel(layer: Any) -> bool:
    """Whether ``layer`` is a convolution or a dense layer with one kernel, as int8 kernels exist for."""
    import keras

    kinds = (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.Conv2DTranspose,
        keras.layers.Dense,
    )
    return type(layer) in kinds


def channel_axes(layer: Any) -> tuple[int, ...]:
    """Axes of the kernel that number output channels; a depthwise one (h, w, channels, multiplier) has two."""
    import keras

    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return (2, 3)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return (2,)
    return (len(layer.kernel.shape) - 1,)


def inference_graph(model: Any) -> Any:
    """Rebuild ``model`` flat: batch norms folded, separable convolutions split, activations apart, biases everywhere.

    Parallel branches are one convolution, which bears the name of their sum, as in a converted file. Outputs are the
    same up to float32 rounding. The given model keeps its weights, none are shared. Every call is a layer with a name
    of its own: the second of a name gets a number.

    Raises:
        InputError: a layer with weights is called more than once.
        ConversionError: a layer cannot be made again from its configuration, or the outputs are not the same.
    """
    import keras

    whole = merged(model)
    network = calls(whole)
    _refuse_shared(network)
    norms = _norms(network)
    folded = {id(norm) for norm in norms.values()}
    names = {"image"}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) in folded:
            return args[0]
        if isinstance(layer, keras.layers.SeparableConv2D):
            return _split(layer, norms.get(id(layer)), args[0], names)
        if has_kernel(layer):
            return _folded(layer, norms.get(id(layer)), args[0], names)
        return _copied(layer, free_name(layer.name, names), *args, **kwargs)

    image = keras.Input(model.inputs[0].shape[1:], name="image")
    network = keras.Model(image, replay(whole, image, call), name=model.name)
    _compare(network, model)
    return network


def _refuse_shared(network: list[Call]) -> None:
    layers = [id(call.layer) for call in network if getattr(call.layer, "weights", ())]
    for call in network:
        if layers.count(id(call.layer)) > 1:
            raise InputError(
                f"layer {call.layer.name!r} is called more than once: its weights serve two places",
                hint="quantization of networks with shared layers is left to the converters",
            )


def _norms(network: list[Call]) -> dict[int, Any]:
    """By the id of a layer with kernels, the batch normalization that alone takes what it makes."""
    import keras

    found = {}
    for call in network:
        if not (has_kernel(call.layer) or isinstance(call.layer, keras.layers.SeparableConv2D)):
            continue
        following = consumers(call, network)
        norms = [one.layer for one in following if isinstance(one.layer, keras.layers.BatchNormalization)]
        last = len(call.output.shape) - 1
        linear = call.layer.activation is keras.activations.linear
        if linear and len(following) == 1 and norms and norms[0].axis in (-1, last):
            found[id(call.layer)] = norms[0]
    return found


def _folded(layer: Any, norm: Any, value: Any, names: set[str]) -> Any:
    """``layer`` and ``norm`` as one layer at work on ``value``, then the activation."""
    name = free_name(layer.name, names)
    copy = again(layer, {"name": name, "use_bias": True, "activation": "linear"})
    output = copy(value)
    bias = layer.bias if layer.use_bias else np.zeros(copy.bias.shape)
    copy.set_weights(_absorbed(np.asarray(layer.kernel), np.asarray(bias), norm, channel_axes(layer)))
    return _activated(layer, name, output, names)


def _split(layer: Any, norm: Any, value: Any, names: set[str]) -> Any:
    """A separable convolution as a depthwise one and a 1x1 convolution that takes ``norm`` in."""
    import keras

    name, config = free_name(layer.name, names), layer.get_config()
    same = ("strides", "padding", "dilation_rate", "depth_multiplier", "data_format")
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size, **{key: config[key] for key in same}, name=free_name(f"{name}_depthwise", names)
    )
    pointwise = keras.layers.Conv2D(layer.filters, 1, data_format=layer.data_format, name=name)
    output = pointwise(depthwise(value))
    depthwise.set_weights([np.asarray(layer.depthwise_kernel), np.zeros(depthwise.bias.shape)])
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(layer.filters)
    pointwise.set_weights(_absorbed(np.asarray(layer.pointwise_kernel), bias, norm, (3,)))
    return _activated(layer, name, output, names)


def _absorbed(kernel: Any, bias: Any, norm: Any, axes: tuple[int, ...]) -> Affinity:
    """Kernel and bias that do what a batch normalization did with the given ones' outputs."""
    if norm is None:
        return Affinity(kernel, bias)
    mean, variance = np.asarray(norm.moving_mean, np.float64), np.asarray(norm.moving_variance, np.float64)
    factor = 1.0 / np.sqrt(variance + norm.epsilon)
    factor = factor * np.asarray(norm.gamma) if norm.scale else factor
    shift = np.asarray(norm.beta, np.float64) if norm.center else np.zeros_like(mean)
    shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    return Affinity(kernel * factor.reshape(shape), (bias - mean) * factor + shift)


def _activated(layer: Any, name: str, value: Any, names: set[str]) -> Any:
    """The activation of ``layer``, whose copy is called ``name``, at work on ``value``."""
    import keras

    activation = layer.activation
    if activation is keras.activations.linear:
        return value
    if isinstance(activation, keras.layers.Layer):
        return _copied(activation, free_name(f"{name}_{activation.name}", names), value)
    kind = getattr(activation, "__name__", type(activation).__name__)
    return keras.layers.Activation(activation, name=free_name(f"{name}_{kind}", names))(value)


def _copied(layer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Any other layer or operation at work, as a copy called ``name`` with the same weights.

    Each call gets a copy: what a layer makes in two places has two ranges.
    """
    copy = again(layer, {"name": name})
    output = copy(*args, **kwargs)
    give(copy, copied_weights(layer))
    return output


def _compare(network: Any, model: Any) -> None:
    """Equal on seeded noise, or nobody uses it."""
    exact = all(layer.compute_dtype in ("float32", "float64") for layer in network.layers if layer.weights)
    if not (found := difference(network, model)) <= (TOLERANCE if exact else HALF_TOLERANCE):
        raise ConversionError(
            f"{model.name}: with its batch norms folded its outputs differ by {found:.2g}",
            hint="please report this network",
        )
