"""A network's features: the vector before its last dense layer."""

from __future__ import annotations

from typing import Any

from edgefer.errors import InputError


def feature_tensor(model: Any) -> Any:
    """The tensor (N, D) that the last dense layer of a classifier sees, before any dropout.

    Raises:
        InputError: the network does not end in a dense layer on a vector.
    """
    import keras

    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.Dense) and len(layer.input.shape) == 2:
            return _before_dropout(layer.input)
    raise InputError(
        f"{model.name} has no dense layer on a vector of features", hint="leave hint at 0 for this network"
    )


def feature_network(model: Any) -> Any:
    """The part of ``model`` from its input to its features."""
    import keras

    return keras.Model(model.inputs[0], feature_tensor(model))


def _before_dropout(tensor: Any) -> Any:
    import keras

    made_by = tensor._keras_history.operation
    return made_by.input if isinstance(made_by, keras.layers.Dropout) else tensor
