"""Cross-layer equalization: neighbouring layers share their weights' ranges channel by channel.

A channel that one layer makes s times smaller and the next multiplies by s changes nothing, as long as what lies
between passes factors through; ReLU does. Factors are chosen so that both layers' ranges agree in every channel.

ReLU6 passes a factor only where its upper end is not reached, before and after. Here such a channel takes part if the
largest value seen on data, times ``HEADROOM``, stays below 6, and its factor keeps that so. On images that exceed what
was seen by more than that, outputs may differ; nothing else is given up, and the ReLU6 stays.

Source: Nagel, van Baalen, Blankevoort, Welling 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.1 (which replaces ReLU6 by ReLU instead).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import Call, calls, consumers
from edgefer.compression.fake_quant import all_outputs, batches, is_relu
from edgefer.compression.inference_graph import channel_axes, has_kernel
from edgefer.preprocessing import Floats

Vector = npt.NDArray[np.float64]

SIX = 6.0
HEADROOM = 1.5
ROUNDS = 40
SETTLED = 1e-3  # a factor this near to 1 is worth no further round
LIMIT = (
    100.0  # of a channel's factor: one that is all but dead would otherwise rule the range of its activations
)


class Pair(NamedTuple):
    """Two layers with kernels, the second the only reader of the first; ``cap`` is the ReLU6 between, if any."""

    first: Any
    second: Any
    cap: Any | None


class Equalized(NamedTuple):
    """What was done: pairs, rounds over all of them, and the share of the channels between that were rescaled."""

    pairs: int
    rounds: int
    rescaled: float


def equalize(network: Any, floats: Floats) -> Equalized:
    """Rescale an ``inference_graph`` in place; ``floats`` (N, H, W, channels) show how far each ReLU6 is used."""
    pairs = find_pairs(network)
    if not pairs:
        return Equalized(0, 0, 0.0)
    limits = _least_factors(network, pairs, floats)
    totals = [np.ones(len(limit)) for limit in limits]
    changes = [np.inf]
    while max(changes[-len(pairs) :]) >= SETTLED and len(changes) < ROUNDS * len(pairs):
        changes += [_balance(*one) for one in zip(pairs, totals, limits, strict=True)]
    rescaled = np.abs(np.concatenate(totals) - 1) > SETTLED
    return Equalized(len(pairs), (len(changes) - 1) // len(pairs), float(rescaled.mean()))


def find_pairs(network: Any) -> list[Pair]:
    """Pairs of an ``inference_graph`` with nothing between them that a positive factor could not pass."""
    trace = calls(network)
    found = [_pair_from(call, trace) for call in trace if has_kernel(call.layer)]
    return [pair for pair in found if pair is not None]


def _pair_from(start: Call, trace: list[Call]) -> Pair | None:
    cap, call = None, start
    while len(following := consumers(call, trace)) == 1:
        call = following[0]
        if has_kernel(call.layer):
            return Pair(start.layer, call.layer, cap) if _reads_channels(call.layer) else None
        if not _passes_factors(call.layer):
            return None
        cap = call.layer if _is_capped(call.layer) else cap
    return None


def _reads_channels(layer: Any) -> bool:
    return (
        getattr(layer, "groups", 1) == 1 and getattr(layer, "data_format", "channels_last") == "channels_last"
    )


def _passes_factors(layer: Any) -> bool:
    """Whether f(s x) = s f(x) for s > 0 in every channel, ReLU6 below its cap."""
    linear = ("ZeroPadding2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "Dropout")
    return is_relu(layer) or type(layer).__name__ in linear


def _is_capped(layer: Any) -> bool:
    import keras

    return (
        getattr(layer, "max_value", None) is not None
        or getattr(layer, "activation", None) is keras.activations.relu6
        or type(layer).__name__ == "Relu6"
    )


def _least_factors(network: Any, pairs: list[Pair], floats: Floats) -> list[Vector]:
    """The smallest factor a channel of each pair may be divided by, (channels,): 0 without a cap, infinite: none."""
    import keras

    capped = [pair.cap for pair in pairs if pair.cap is not None]
    seen: dict[int, Vector] = {}
    if capped:
        observed = keras.Model(network.inputs[0], [layer.output for layer in capped])
        for batch in batches(floats):
            for layer, values in zip(capped, all_outputs(observed, batch), strict=True):
                highest = np.max(values, axis=tuple(range(values.ndim - 1)))
                seen[id(layer)] = np.maximum(seen.get(id(layer), 0.0), highest)
    return [_least(seen[id(pair.cap)]) if pair.cap is not None else np.zeros(_width(pair)) for pair in pairs]


def _least(highest: Vector) -> Vector:
    share = highest * HEADROOM / SIX
    return np.where(share < 1, share, np.inf)


def _width(pair: Pair) -> int:
    return int(np.prod(pair.first.bias.shape))


def _balance(pair: Pair, total: Vector, least: Vector) -> float:
    """Divide the first layer's channels and multiply the second's; the largest relative change."""
    first, second = _largest(pair.first, outputs=True), _largest(pair.second, outputs=False)
    alive = (first > 0) & (second > 0) & np.isfinite(least)
    wanted = np.sqrt(np.where(alive, first, 1.0) / np.where(alive, second, 1.0))
    wanted = np.where(
        alive, np.clip(total * wanted, np.maximum(np.where(alive, least, 1.0), 1 / LIMIT), LIMIT), total
    )
    factors = wanted / total
    total[:] = wanted
    _scale(pair.first, 1.0 / factors, outputs=True)
    pair.first.bias.assign(np.asarray(pair.first.bias) / factors)
    _scale(pair.second, factors, outputs=False)
    return float(np.max(np.abs(factors - 1)))


def _axes(layer: Any, *, outputs: bool) -> tuple[int, ...]:
    """Kernel axes that number the channels a layer makes, or those that it reads."""
    import keras

    if outputs:
        return channel_axes(layer)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return (3,)
    return (2,) if len(layer.kernel.shape) == 4 else (0,)


def _largest(layer: Any, *, outputs: bool) -> Vector:
    """Largest magnitude of the weights of each channel, (channels,)."""
    kernel, axes = np.abs(np.asarray(layer.kernel, np.float64)), _axes(layer, outputs=outputs)
    others = tuple(axis for axis in range(kernel.ndim) if axis not in axes)
    largest: Vector = kernel.max(axis=others).reshape(-1)
    return largest


def _scale(layer: Any, factors: Vector, *, outputs: bool) -> None:
    axes = _axes(layer, outputs=outputs)
    shape = [size if axis in axes else 1 for axis, size in enumerate(layer.kernel.shape)]
    layer.kernel.assign(np.asarray(layer.kernel) * factors.reshape(shape))
