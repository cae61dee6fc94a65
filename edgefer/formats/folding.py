"""A network that takes raw pixels: input scaling, offset and gray replication go into the first convolution.

While the layers are called anew, a ``Pending`` travels through the graph instead of the first tensors: the raw pixels
with an affine map that has not been applied yet. Rescaling and Normalization layers only change the map. The first
convolution absorbs it where that is exact; any other layer makes it happen in front of itself.

Exactness. Let x_c = s_c p + o_c, and let a convolution pad x with zeros. Where all channels share one pixel value
b = -o_c / s_c that becomes zero, x_c = s_c (p - b): the convolution of x is one of p - b with kernel sum_c s_c W_c
and the same zero padding. That leaves a single subtraction on the image, none if b = 0. Without padding the offset
goes into the bias, sum o_c W_c, whatever the b. Otherwise the map stays a layer of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import operations, replay
from edgefer.backbones.rebuilding import distinct, free_name
from edgefer.spec import InputSpec

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pending:
    """``pixels`` (N, H, W, pixel channels) still to become pixels[source] * scale + offset, then padded with zeros.

    ``source[c]`` is the pixel channel behind backbone channel c; ``padding`` is ((top, bottom), (left, right)).
    ``names`` are taken: Keras numbers the layers of a process, not those of a network that was loaded.
    """

    pixels: Any
    source: tuple[int, ...]
    scale: Vector
    offset: Vector
    names: set[str]
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


class RawModel(NamedTuple):
    """A ``keras.Model`` from float32 pixel values 0..255 to probabilities, and whether its scaling was folded."""

    model: Any
    folded: bool


def raw_model(model: Any, spec: InputSpec) -> RawModel:
    """Build the network on raw pixels; weights are shared with ``model`` except those of a folded layer.

    Where two layers have one name, all are copies, each under its own.
    """
    import keras

    model = distinct(model)
    names = {"image", *(one.name for one in operations(model))}
    pixels = keras.Input((spec.height, spec.width, spec.pixel_channels), name="image")
    source = {"gray": (0,) * spec.channels, "rgb": (0, 1, 2), "bgr": (2, 1, 0)}[spec.color]
    scale, offset = np.asarray(spec.scale, np.float64), np.asarray(spec.offset, np.float64)
    start = Pending(pixels, source, scale, offset, names)
    kept: list[str] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(a, Pending) for a in _flat(args)):
            return layer(*args, **kwargs)
        if len(args) == 1 and isinstance(args[0], Pending):
            absorbed = _absorb(layer, args[0])
            if absorbed is not None:
                return absorbed
        kept.append(layer.name)
        return layer(*_applied(args), **kwargs)

    outputs = replay(model, start, call)
    return RawModel(keras.Model(pixels, outputs, name=model.name), folded=not kept)


def _absorb(layer: Any, pending: Pending) -> Any:
    """What ``layer`` makes of pixels that are still to be mapped, or None if the map has to happen first."""
    import keras

    padded = any(any(side) for side in pending.padding)
    if isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout)) or _only_trains(layer):
        return pending
    if isinstance(layer, keras.layers.Rescaling) and not padded:
        factor, summand = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
        return replace(pending, scale=pending.scale * factor, offset=pending.offset * factor + summand)
    if isinstance(layer, keras.layers.Normalization) and not padded:
        return _normalized(layer, pending)
    if isinstance(layer, keras.layers.ZeroPadding2D) and not padded:
        return replace(pending, padding=layer.padding)
    if type(layer) is keras.layers.Conv2D and layer.groups == 1 and layer.data_format == "channels_last":
        return _folded_convolution(layer, pending)
    return None


def _only_trains(layer: Any) -> bool:
    """Augmentation layers pass images on unchanged at inference."""
    return type(layer).__name__.startswith("Random")


def _normalized(layer: Any, pending: Pending) -> Pending | None:
    mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in (layer.mean, layer.variance))
    if layer.invert or len(mean) not in (1, len(pending.source)):
        return None
    # Keras divides by max(std, epsilon) with epsilon 1e-7.
    factor = 1.0 / np.maximum(np.sqrt(variance), 1e-7)
    return replace(pending, scale=pending.scale * factor, offset=(pending.offset - mean) * factor)


def _folded_convolution(layer: Any, pending: Pending) -> Any:
    import keras

    padding = _total_padding(layer, pending)
    centre, names = -pending.offset / pending.scale, pending.names
    if not np.any(padding):
        pixels, offset = pending.pixels, pending.offset
    elif np.allclose(centre, centre[0], rtol=0, atol=1e-9):
        pixels, offset = _centred(pending, float(centre[0])), np.zeros_like(pending.offset)
    else:
        return None
    if any(any(side) for side in pending.padding):
        pixels = keras.layers.ZeroPadding2D(pending.padding, name=free_name("pad_pixels", names))(pixels)
    name = free_name(f"{layer.name}_on_pixels", names)
    config = {**layer.get_config(), "name": name, "use_bias": True}
    folded = keras.layers.Conv2D.from_config(config)
    output = folded(pixels)
    folded.set_weights(_folded_weights(layer, pending, offset))
    return output


def _centred(pending: Pending, centre: float) -> Any:
    import keras

    if not centre:
        return pending.pixels
    name = free_name("centre_pixels", pending.names)
    return keras.layers.Rescaling(1.0, offset=-centre, name=name)(pending.pixels)


def _folded_weights(layer: Any, pending: Pending, offset: Vector) -> list[npt.NDArray[np.float32]]:
    weights = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(layer.filters)
    bias = bias + np.einsum("hwco,c->o", weights, offset)
    kernel = np.zeros((*weights.shape[:2], pending.pixels.shape[-1], layer.filters))
    for channel, origin in enumerate(pending.source):
        kernel[:, :, origin] += weights[:, :, channel] * pending.scale[channel]
    return [kernel.astype(np.float32), bias.astype(np.float32)]


def _total_padding(layer: Any, pending: Pending) -> npt.NDArray[np.int64]:
    """Explicit padding plus what "same" adds: ((top, bottom), (left, right))."""
    total = np.asarray(pending.padding, np.int64)
    if layer.padding == "same":
        sizes = np.asarray(pending.pixels.shape[1:3]) + total.sum(axis=1)
        for axis, size in enumerate(sizes):
            reach = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
            stride = layer.strides[axis]
            # TensorFlow's rule: ceil(size / stride) outputs, the odd pixel of padding at the end.
            need = max((-(-int(size) // stride) - 1) * stride + reach - int(size), 0)
            total[axis] += (need // 2, need - need // 2)
    return total


def _applied(value: Any) -> Any:
    """The same arguments with every Pending carried out."""
    if isinstance(value, (list, tuple)):
        return type(value)(_applied(v) for v in value)
    return _carried_out(value) if isinstance(value, Pending) else value


def _carried_out(pending: Pending) -> Any:
    """The map as a 1x1 convolution.

    Of a concatenation and a sum TFLite's quantizer makes one scale for the pixels before and the values after it.
    """
    import keras

    pixels, count = pending.pixels, len(pending.source)
    convolution = keras.layers.Conv2D(count, 1, name=free_name("map_pixels", pending.names))
    mapped = convolution(pixels)
    kernel = np.zeros((1, 1, pixels.shape[-1], count), np.float32)
    kernel[0, 0, pending.source, range(count)] = pending.scale
    convolution.set_weights([kernel, pending.offset.astype(np.float32)])
    if any(any(side) for side in pending.padding):
        name = free_name("pad_pixels", pending.names)
        mapped = keras.layers.ZeroPadding2D(pending.padding, name=name)(mapped)
    return mapped


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [inner for v in value for inner in _flat(v)]
    return [value]
