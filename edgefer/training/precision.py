"""Training in half precision: layers compute in 16 bits, weights and the kept network stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers made inside compute in ``TrainingPart.precision``; what is made afterwards does not."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision.replace("-", "_"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(model: Any) -> Any:
    """The same network and weights, uncompiled, whose layers all compute in float32."""
    twin = type(model).from_config(_with_float32(model.get_config()))
    twin.set_weights(model.get_weights())
    return twin


def _with_float32(config: Any) -> Any:
    """A layer configuration, nested ones included, with each dtype policy replaced by float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _with_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_with_float32(value) for value in config)
    return config
