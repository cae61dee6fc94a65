"""Reshapes that do not ask how many rows there are.

Keras writes a ``Reshape`` or ``Flatten`` with the number of rows that it reads from its input. In a file that is three
operations more for each of them, which run outside a delegate and cut its part of the network in two: sixteen times in
an EfficientNetV2B0, whose squeeze-and-excitation reshapes. Only the rows are not known beforehand, and one unknown
size needs no asking.
"""

from __future__ import annotations

from typing import Any

from edgefer.backbones.graph import operations, replay
from edgefer.backbones.rebuilding import distinct, free_name, named


def with_constant_shapes(model: Any) -> Any:
    """Return ``model`` with constant shapes in its reshapes, -1 for the rows; itself if it has none.

    Layers that stay are shared with ``model``, unless two have one name: all are copies then, each under its own.
    """
    import keras

    made, model = 0, distinct(model)
    names = {one.name for one in operations(model)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal made
        if not isinstance(layer, (keras.layers.Reshape, keras.layers.Flatten)):
            return layer(*args, **kwargs)
        shape = layer.compute_output_shape(args[0].shape)[1:]
        if None in shape or _moves_channels(layer):
            return layer(*args, **kwargs)
        made += 1
        return named(keras.ops.reshape(args[0], (-1, *shape)), free_name(f"{layer.name}_constant", names))

    start = keras.Input(tuple(model.inputs[0].shape[1:]), name=model.inputs[0].name)
    output = replay(model, start, call)
    return keras.Model(start, output, name=model.name) if made else model


def _moves_channels(layer: Any) -> bool:
    """A ``Flatten`` of channels-first maps transposes them before."""
    return getattr(layer, "data_format", "channels_last") != "channels_last"
