"""Rebuilding a Keras 3 network layer by layer in tf_keras (Keras 2), and bringing the weights back.

tensorflow-model-optimization works on tf_keras networks only. A network goes there with its layers' names, is trained
under that package's wrappers, and its weights return, by these names, into the same Keras 3 architecture. Either way
the outputs are compared before anybody uses them.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edgefer.backbones.graph import replay
from edgefer.backbones.rebuilding import copied_weights, difference
from edgefer.errors import ConversionError
from edgefer.interop import RENAMED, give

_LEFT_BEHIND = ("_initializer", "_regularizer", "_constraint")
_STATES = ("dtype", "trainable")
# Operations of keras.ops: on one tensor by the activation they are, on two by the layer that merges these.
_ACTIVATIONS = {"Relu": "relu", "Relu6": "relu6", "Silu": "swish", "Sigmoid": "sigmoid", "Softmax": "softmax"}
_MERGING = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_ADVICE = "build that part of the network from layers that tf_keras has too, or leave this stage out"


def to_tf_keras(model: Any, *, tolerance: float = 1e-5) -> Any:
    """Rebuild a ``keras.Model`` with one input as a functional tf_keras model of equal outputs.

    Nested models are opened, every layer keeps its name, and all of them can be trained. Operations between layers
    become layers: ``x + y`` an Add, ``x * 2.0`` a Rescaling.

    Raises:
        ConversionError: a layer has no counterpart, two layers share a name, or the outputs differ by more than
            ``tolerance`` times the largest of them (at least 1).
    """
    import tf_keras

    image = tf_keras.Input(tuple(model.inputs[0].shape[1:]), name=model.inputs[0].name)
    made: dict[int, Any] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in made:
            made[id(layer)] = _counterpart(layer, args)
        given = {key: value for key, value in kwargs.items() if value is not None}
        return made[id(layer)](*_operands(layer, args), **given)

    output = replay(model, image, call)
    _refuse_equal_names(layer.name for layer in (*made.values(), image))
    rebuilt = tf_keras.Model(image, output, name=model.name)
    for layer in _layers(model):
        if layer.weights:
            give(made[id(layer)], copied_weights(layer))
    _compare(rebuilt, model, tolerance)
    return rebuilt


def copy_weights_back(trained: Any, model: Any, *, tolerance: float = 1e-5) -> None:
    """Write the weights of a tf_keras model into the ``keras.Model`` it was rebuilt from, layer by layer's name.

    Raises:
        ConversionError: afterwards their outputs differ, as for ``to_tf_keras``.
    """
    for layer in _layers(model):
        if layer.weights:
            give(layer, trained.get_layer(layer.name).get_weights())
    _compare(trained, model, tolerance)


def _layers(model: Any) -> Iterator[Any]:
    """All layers, nested models opened."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _counterpart(layer: Any, args: tuple[Any, ...]) -> Any:
    import keras
    import tf_keras

    kind = type(layer).__name__
    if not isinstance(layer, keras.Layer):
        return _operation(layer, args)
    target = getattr(tf_keras.layers, kind, None)
    if target is None or not type(layer).__module__.startswith("keras."):
        raise ConversionError(f"layer {layer.name!r} is a {kind}, which tf_keras does not have", hint=_ADVICE)
    try:
        return target(**_known_arguments(target, layer.get_config()))
    except (TypeError, ValueError) as error:  # an activation, say, that only Keras 3 has
        raise ConversionError(
            f"layer {layer.name!r} is a {kind} that tf_keras cannot make ({str(error).splitlines()[0]})",
            hint=_ADVICE,
        ) from error


def _operation(operation: Any, args: tuple[Any, ...]) -> Any:
    """A layer for an operation that was called between layers."""
    import tf_keras

    kind, name = type(operation).__name__, operation.name
    if kind in _ACTIVATIONS:
        return tf_keras.layers.Activation(_ACTIVATIONS[kind], name=name)
    if len(args) == 2 and not all(map(_is_tensor, args)) and (affine := _affine(kind, *args)):
        return tf_keras.layers.Rescaling(*affine, name=name)
    if kind in _MERGING and all(map(_is_tensor, args)):
        return getattr(tf_keras.layers, kind)(name=name)
    raise ConversionError(f"operation {name!r} is a {kind}, which no layer of tf_keras does", hint=_ADVICE)


def _affine(kind: str, first: Any, second: Any) -> tuple[Any, Any] | None:
    """(scale, offset) of the operation on a tensor and a constant, None if it is not an affine map of the tensor."""
    leads = _is_tensor(first)
    constant = np.asarray(second if leads else first, np.float32).tolist()
    match kind:
        case "Add":
            return 1.0, constant
        case "Multiply":
            return constant, 0.0
        case "Subtract":
            return (1.0, np.negative(constant).tolist()) if leads else (-1.0, constant)
        case "Divide" | "TrueDivide" if leads:
            return np.divide(1.0, constant).tolist(), 0.0
    return None


def _operands(layer: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the counterpart is called with: merging layers take a list, constants have gone into a Rescaling."""
    import keras

    if isinstance(layer, keras.Layer):
        return args
    tensors = [arg for arg in args if _is_tensor(arg)]
    return (tensors,) if len(tensors) > 1 else tuple(tensors)


def _is_tensor(value: Any) -> bool:
    import tf_keras

    return isinstance(value, tf_keras.__internal__.KerasTensor)


def _known_arguments(target: Any, config: dict[str, Any]) -> dict[str, Any]:
    known = {"name"}.union(*(_parameters(kind) for kind in target.__mro__))
    before = {new: old for old, new in RENAMED.get(target.__name__, {}).items()}
    return {
        key: value
        for key, value in ((before.get(key, key), value) for key, value in config.items())
        if key in known and key not in _STATES and not key.endswith(_LEFT_BEHIND)
    }


def _parameters(kind: type) -> set[str]:
    own = vars(kind).get("__init__")
    return set(inspect.signature(own).parameters) if inspect.isfunction(own) else set()


def _refuse_equal_names(names: Iterable[str]) -> None:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ConversionError(
            f"several layers are called {repeated[0]!r} once nested models are opened",
            hint="give every layer a name of its own and save the model anew",
        )


def _compare(tf_keras_model: Any, model: Any, tolerance: float) -> None:
    """Equal on seeded noise, or nobody uses it."""
    if not (found := difference(tf_keras_model, model)) <= tolerance:
        raise ConversionError(f"{model.name}: in tf_keras its outputs differ by {found:.2g}", hint=_ADVICE)
