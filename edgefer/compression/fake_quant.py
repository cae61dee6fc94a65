"""int8 simulated in Keras: weights and activations rounded to what their codes stand for, layer by layer at will.

Places where values are rounded are those of int8 kernels: after every operation, a ReLU counted as part of the
convolution before it. Biases (int32) and the rounding inside a requantization are left exact; a swish is one
operation here, two in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import Call, calls, consumers, operations, replay
from edgefer.backbones.rebuilding import free_name, named
from edgefer.compression.inference_graph import channel_axes, has_kernel
from edgefer.preprocessing import Floats
from edgefer.quantization import HIGHEST, LEVELS, LOWEST, Range, affine, rounded_weights

BATCH = 64
# int8 kernels fix the codes of these: 0..255 / 256.
_UNIT = Range(0.0, (LEVELS - 1) / LEVELS)


@dataclass(frozen=True)
class Unit:
    """What is quantized together: an operation's weights, if it has any, and its output.

    ``name`` is that of ``layer`` in the network; ``exact`` is its float kernel, ``coarse`` the rounded one, both None
    without a kernel. ``rounding`` rounds the output where switched on.
    """

    name: str
    layer: Any
    rounding: Any
    exact: Floats | None
    coarse: Floats | None

    def switch(self, on: bool) -> None:
        """Quantize, or compute in float."""
        self.rounding.enabled.assign(float(on))
        if self.exact is not None:
            self.layer.kernel.assign(self.coarse if on else self.exact)


@dataclass(frozen=True)
class Simulation:
    """A network whose units can be quantized one by one.

    ``model`` maps float32 (N, H, W, channels) to probabilities; ``means`` maps it to a list of what the layers with
    kernels make, before activation and rounding, averaged to (output channels,), in the order of ``weighted``.
    """

    model: Any
    means: Any
    units: tuple[Unit, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the units, in the order they run in."""
        return tuple(unit.name for unit in self.units)

    @property
    def weighted(self) -> tuple[Unit, ...]:
        """Units with a kernel."""
        return tuple(unit for unit in self.units if unit.exact is not None)

    def switch(self, names: Collection[str]) -> None:
        """Quantize exactly the units ``names``; the others compute in float."""
        for unit in self.units:
            unit.switch(unit.name in names)

    def outputs(self, floats: Floats) -> Floats:
        """Probabilities float32 (N, classes) as things are switched."""
        return np.concatenate([np.asarray(self.model.predict_on_batch(batch)) for batch in batches(floats)])


def simulate(network: Any, floats: Floats) -> Simulation:
    """Make the units of an ``inference_graph`` switchable; nothing is quantized yet.

    Ranges of activations are the lowest and highest values that ``floats`` (N, H, W, channels) give rise to. The
    network's layers are used, not copied: while a unit is switched on its kernel is the rounded one.
    """
    import keras

    rounding = _rounding_class()
    ends = _unit_ends(calls(network))
    made: list[tuple[Any, Any]] = []
    sums: dict[int, Any] = {}
    numbers, names = count(), {"image", *(one.name for one in operations(network))}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        if has_kernel(layer):
            mean = keras.ops.mean(output, axis=tuple(range(len(output.shape) - 1)))
            sums[id(layer)] = named(mean, free_name(f"{layer.name}_mean", names))
        end = ends.get(next(numbers))
        if end is None:
            return output
        made.append((end, rounding(name=free_name(f"{end.name}_int8", names))))
        return made[-1][1](output)

    image = keras.Input(network.inputs[0].shape[1:], name="image")
    model = keras.Model(image, replay(network, image, call))
    units = tuple(_unit(layer, one) for layer, one in made)
    _set_ranges(keras.Model(image, [unit.rounding.input for unit in units]), units, floats)
    # A unit ends behind its ReLU, and between it and the layer others may have run.
    means = [sums[id(unit.layer)] for unit in units if unit.exact is not None]
    return Simulation(model, keras.Model(image, means), units)


def _unit(layer: Any, rounding: Any) -> Unit:
    if not has_kernel(layer):
        return Unit(layer.name, layer, rounding, None, None)
    exact = np.array(layer.kernel)
    return Unit(layer.name, layer, rounding, exact, rounded_weights(exact, channel_axes(layer)))


def _unit_ends(network: list[Call]) -> dict[int, Any]:
    """By the number of the call after which values are rounded, the layer the unit is named after."""
    ends: dict[int, Any] = {}
    fused: dict[int, Any] = {}
    for number, call in enumerate(network):
        if _passes_codes_on(call.layer):
            continue
        following = consumers(call, network)
        if has_kernel(call.layer) and len(following) == 1 and is_relu(following[0].layer):
            fused[id(following[0].output)] = call.layer
        else:
            ends[number] = fused.get(id(call.output), call.layer)
    return ends


def is_relu(layer: Any) -> bool:
    """Whether int8 kernels do ``layer``, of either Keras, together with what is before it: ReLU, or ReLU up to 6."""
    kind = type(layer).__name__
    if kind == "ReLU":
        return layer.max_value in (None, 6.0) and not layer.negative_slope and not layer.threshold
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") in ("relu", "relu6")
    return kind in ("Relu", "Relu6")  # operations of keras.ops


def _passes_codes_on(layer: Any) -> bool:
    """Operations that move codes, or do nothing when not training."""
    import keras

    kinds = (
        "InputLayer",
        "Flatten",
        "Reshape",
        "Permute",
        "MaxPooling2D",
        "GlobalMaxPooling2D",
        "ZeroPadding2D",
    )
    name = type(layer).__name__
    trains = name.startswith("Random") or "Dropout" in name
    linear = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    return name in kinds or trains or linear


def _set_ranges(observed: Any, units: tuple[Unit, ...], floats: Floats) -> None:
    lows, highs = [np.inf] * len(units), [-np.inf] * len(units)
    for batch in batches(floats):
        for number, one in enumerate(all_outputs(observed, batch)):
            lows[number] = min(lows[number], float(np.min(one)))
            highs[number] = max(highs[number], float(np.max(one)))
    for unit, low, high in zip(units, lows, highs, strict=True):
        to = affine(_UNIT if _is_probability(unit.rounding.input) else Range(low, high))
        unit.rounding.scale.assign(to.scale)
        unit.rounding.zero_point.assign(to.zero_point)


def _is_probability(tensor: Any) -> bool:
    import keras

    made_by = tensor._keras_history.operation
    kinds = (keras.activations.softmax, keras.activations.sigmoid)
    return isinstance(made_by, keras.layers.Softmax) or getattr(made_by, "activation", None) in kinds


def batches(floats: Floats) -> Iterator[Floats]:
    """Some rows at a time."""
    for start in range(0, len(floats), BATCH):
        yield floats[start : start + BATCH]


def all_outputs(model: Any, batch: Floats) -> list[npt.NDArray[np.float32]]:
    """Outputs of a network as a list, which Keras makes of several only."""
    import keras

    outputs: list[npt.NDArray[np.float32]] = keras.tree.flatten(model.predict_on_batch(batch))
    return outputs


@cache
def _rounding_class() -> Callable[..., Any]:
    """The Keras layer that rounds; made here because Keras is imported late."""
    import keras

    class Int8(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
        """Values as the nearest of 256 codes stands for them, where ``enabled`` is not 0."""

        def build(self, _shape: Any) -> None:
            for name, value in (("scale", "ones"), ("zero_point", "zeros"), ("enabled", "zeros")):
                setattr(self, name, self.add_weight(name=name, shape=(), initializer=value, trainable=False))

        def call(self, values: Any) -> Any:
            codes = keras.ops.round(values / self.scale) + self.zero_point
            rounded = (keras.ops.clip(codes, LOWEST, HIGHEST) - self.zero_point) * self.scale
            return keras.ops.where(self.enabled > 0, rounded, values)

        def compute_output_spec(self, values: Any) -> Any:
            """As it comes; Keras would try it out, with a sparse tensor where a number was multiplied."""
            return keras.KerasTensor(values.shape, values.dtype)

    return Int8
