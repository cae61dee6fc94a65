"""Rebuilding a Keras 2 (tf_keras) network layer by layer in Keras 3.

Keras 3 refuses old files over arguments it no longer knows. tf_keras reads them; what comes out is called anew with
Keras 3 layers on the same graph, initialisers and regularisers dropped (the trained weights follow), and its outputs
are compared before anybody uses it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgefer.errors import ConversionError

# tf_keras writes plain TensorFlow calls between layers as TFOpLambda with the function's public name.
TF_OPS: dict[str, str] = {
    "math.add": "add",
    "__operators__.add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.truediv": "true_divide",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.silu": "silu",
    "nn.sigmoid": "sigmoid",
    "math.sigmoid": "sigmoid",
    "nn.softmax": "softmax",
}

# Arguments by their Keras 2 names and by those they have in Keras 3.
RENAMED: dict[str, dict[str, str]] = {"LeakyReLU": {"alpha": "negative_slope"}}

_LEFT_BEHIND = ("_initializer", "_regularizer", "_constraint")


def to_keras3(old: Any, *, tolerance: float = 1e-4) -> Any:
    """Rebuild a tf_keras model with one input as a ``keras.Model`` with equal outputs.

    Raises:
        ConversionError: a layer has no counterpart, or outputs differ by more than ``tolerance``.
    """
    new = _rebuild_model(old)
    _compare(old, new, tolerance)
    return new


def give(layer: Any, weights: Sequence[Any]) -> None:
    """Set the weights of a layer that has been called, and what it derives from them."""
    if weights:
        layer.set_weights(weights)
    # Normalization derives what it computes with from its weights.
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _rebuild_model(old: Any) -> Any:
    import keras

    if len(old.inputs or ()) != 1:
        raise ConversionError(f"{old.name} has {len(old.inputs or ())} inputs; one image input is supported")
    source = old.inputs[0]
    image = keras.Input(tuple(source.shape[1:]), name="image")
    tensors: dict[int, Any] = {id(source): image}
    made: dict[int, Callable[..., Any]] = {}
    for node in _nodes_in_order(old):
        if id(node.outputs) in tensors or node.is_input:
            continue
        layer = made.setdefault(id(node.layer), _counterpart(node.layer))
        args, kwargs = _translate((node.call_args, node.call_kwargs), tensors)
        kwargs.pop("training", None)
        tensors[id(node.outputs)] = layer(*args, **kwargs)
    _copy_weights(old, made)
    return keras.Model(image, tensors[id(old.outputs[0])], name=old.name)


def _nodes_in_order(model: Any) -> list[Any]:
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth]]


def _translate(value: Any, tensors: dict[int, Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_translate(v, tensors) for v in value)
    if isinstance(value, dict):
        return {k: _translate(v, tensors) for k, v in value.items()}
    return tensors.get(id(value), value)


def _counterpart(layer: Any) -> Callable[..., Any]:
    import keras

    kind = type(layer).__name__
    if hasattr(layer, "_nodes_by_depth"):
        rebuilt: Callable[..., Any] = _rebuild_model(layer)
        return rebuilt
    if kind == "TFOpLambda":
        name = layer.get_config()["function"]
        if name not in TF_OPS:
            raise ConversionError(f"layer {layer.name!r} calls tf.{name}, which has no counterpart here")
        return _operation(TF_OPS[name])
    target = getattr(keras.layers, kind, None)
    if target is None:
        raise ConversionError(f"layer {layer.name!r} is a {kind}, which Keras 3 does not have")
    made: Callable[..., Any] = target(**_known_arguments(target, layer.get_config()))
    return made


def _operation(name: str) -> Callable[..., Any]:
    import keras

    function = getattr(keras.ops, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        return function(*args, **kwargs)

    return call


def _known_arguments(target: Any, config: dict[str, Any]) -> dict[str, Any]:
    known = set(inspect.signature(target.__init__).parameters) | {"name"}
    renamed = RENAMED.get(target.__name__, {})
    kept = {
        key: value
        for key, value in ((renamed.get(key, key), value) for key, value in config.items())
        if key in known and key != "dtype" and not key.endswith(_LEFT_BEHIND)
    }
    # Keras 2 wraps BatchNormalization's axis in a list.
    if isinstance(kept.get("axis"), (list, tuple)) and len(kept["axis"]) == 1:
        kept["axis"] = kept["axis"][0]
    return kept


def _copy_weights(old: Any, made: dict[int, Callable[..., Any]]) -> None:
    for layer in old.layers:
        new = made.get(id(layer))
        if new is None or hasattr(layer, "_nodes_by_depth") or not hasattr(new, "set_weights"):
            continue
        give(new, layer.get_weights()[: len(new.get_weights())])  # type: ignore[attr-defined]


def _compare(old: Any, new: Any, tolerance: float) -> None:
    """Equal on seeded noise, or the rebuild is not used."""
    noise = np.random.default_rng(0).normal(size=(4, *new.input_shape[1:])).astype(np.float32)
    difference = float(
        np.max(np.abs(np.asarray(old(noise, training=False)) - np.asarray(new(noise, training=False))))
    )
    if not difference <= tolerance:
        raise ConversionError(
            f"{old.name}: the Keras 3 rebuild differs from the tf_keras model by {difference:.2g}"
        )
