"""A network made again from new layers: some narrower, some left out; and whether it does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgefer.backbones.graph import operations, replay
from edgefer.errors import ConversionError
from edgefer.interop import give

Settings = Callable[[Any], Mapping[str, Any]]
Weights = Callable[[Any], Sequence[Any]]


def put_to_work(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """What a layer does in a network that stays as it is."""
    return layer(*args, **kwargs)


def copied_weights(layer: Any) -> list[Any]:
    """The arrays of all of a layer's weights; plain operations have none."""
    return [np.asarray(variable) for variable in getattr(layer, "weights", ())]


def remade(model: Any, settings: Settings, weights: Weights, work: Callable[..., Any] = put_to_work) -> Any:
    """Build a ``keras.Model`` of new layers in the places of those of ``model``.

    ``settings(layer)`` are what its copy is to be configured with instead, ``weights(layer)`` the copy's weights, and
    ``work(copy, *args, **kwargs)`` is asked for what it does, call by call. Nested models are opened; of two layers
    with one name the second gets a number. No weight is shared with ``model``.

    Raises:
        ConversionError: a layer cannot be made again from its configuration.
    """
    import keras

    copies: dict[int, tuple[Any, Any]] = {}
    source = model.inputs[0]
    names = {source.name}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in copies:
            copies[id(layer)] = (
                layer,
                again(layer, {"name": free_name(layer.name, names), **settings(layer)}),
            )
        return work(copies[id(layer)][1], *args, **kwargs)

    image = keras.Input(batch_shape=source.shape, dtype=source.dtype, name=source.name)
    network = keras.Model(image, replay(model, image, call), name=model.name)
    for layer, copy in copies.values():
        give(copy, weights(layer))
    return network


def distinct(model: Any) -> Any:
    """``model`` itself, or, if two of its layers share a name once nested models are opened, ``remade`` without that.

    Opened is how a network is rebuilt, and Keras takes no two layers of one name in one.

    Raises:
        ConversionError: a layer cannot be made again from its configuration.
    """
    found = {id(one): one.name for one in operations(model)}
    names = [model.inputs[0].name, *found.values()]
    return model if len(set(names)) == len(names) else remade(model, lambda _: {}, copied_weights)


def free_name(name: str, taken: set[str]) -> str:
    """``name``, with a number behind it if it is ``taken``; what is returned is taken from then on."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def named(tensor: Any, name: str) -> Any:
    """``tensor``, the plain operation that made it called ``name``.

    Keras numbers the operations of a process, not those of a network that was loaded.
    """
    tensor._keras_history.operation.name = name
    return tensor


def again(layer: Any, settings: Mapping[str, Any]) -> Any:
    """A new layer, without weights, of the configuration of ``layer`` with these ``settings`` in it.

    Raises:
        ConversionError: the layer cannot be made again from its configuration.
    """
    try:
        return type(layer).from_config({**layer.get_config(), **settings})
    except Exception as error:  # layers raise whatever they like
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"layer {layer.name!r} ({type(layer).__name__}) cannot be made again: {first}",
            hint="replace it by layers that Keras brings along",
        ) from error


def give_all(copy: Any, model: Any) -> None:
    """Set the weights of a whole network to those of ``model``, and what its layers derive from them."""
    copy.set_weights(model.get_weights())
    for layer in operations(copy):
        give(layer, ())


def difference(one: Any, other: Any) -> float:
    """How far two networks' outputs are apart on seeded noise: at most, as a share of the largest (at least 1)."""
    noise = np.random.default_rng(0).normal(size=(4, *other.input_shape[1:])).astype(np.float32)
    found, expected = (np.asarray(each(noise, training=False), np.float64) for each in (one, other))
    return float(np.max(np.abs(found - expected)) / max(1.0, np.max(np.abs(expected))))
