"""The network with its removed channels gone: new, narrower layers with the kept weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.backbones.graph import replay
from edgefer.compression.channel_groups import Channels, Keep
from edgefer.compression.channel_marks import Use
from edgefer.errors import ConversionError


def rebuilt(channels: Channels, keep: Keep) -> Any:
    """Build the dense ``keras.Model`` of a plan, bool (units,): layers keep their names and order.

    It puts out what the whole network does when the removed channels are zero wherever they are read. Nested models
    are opened; of two layers with one name the second gets a number. No weight is shared with the whole network.

    Raises:
        ConversionError: a layer cannot be made again from its configuration.
    """
    import keras

    layers: dict[int, Any] = {}
    names: set[str] = set()
    uses = {id(use.layer): use for use in channels.uses}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in layers:
            layers[id(layer)] = _narrowed(channels, uses[id(layer)], keep, _free_name(layer.name, names))
        return layers[id(layer)](*args, **kwargs)

    source = channels.model.inputs[0]
    image = keras.Input(batch_shape=source.shape, dtype=source.dtype, name=source.name)
    names.add(source.name)
    model = keras.Model(image, replay(channels.model, image, call), name=channels.model.name)
    for use in channels.uses:
        _copy_weights(channels, use, keep, layers[id(use.layer)])
    return model


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _narrowed(channels: Channels, use: Use, keep: Keep, name: str) -> Any:
    def size(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(size(part) for part in value)
        return len(channels.places(value, keep)) if isinstance(value, np.ndarray) else value

    try:
        settings = {key: size(value) for key, value in use.settings.items()}
        return type(use.layer).from_config({**use.layer.get_config(), "name": name, **settings})
    except Exception as error:  # layers raise whatever they like
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"layer {use.layer.name!r} ({type(use.layer).__name__}) cannot be made again: {first}",
            hint="replace it by layers that Keras brings along",
        ) from error


def _copy_weights(channels: Channels, use: Use, keep: Keep, new: Any) -> None:
    kept = []
    for variable, weight in zip(getattr(use.layer, "weights", ()), use.weights, strict=True):
        values = np.asarray(variable)
        for axis, ids in weight.ids.items():
            values = values.take(channels.places(ids, keep), axis)
        kept.append(values)
    if kept:
        new.set_weights(kept)
    # Normalization derives what it computes with from its weights.
    if hasattr(new, "finalize_state"):
        new.finalize_state()
