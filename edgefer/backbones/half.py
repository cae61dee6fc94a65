"""Networks that compute in half precision, as saved by mixed-precision training, made to compute in float32.

A format's precision is the converter's to give: float16 inside the network would differ between machines before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgefer.backbones.rebuilding import give_all

HALF = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def half_of(model: Any) -> str:
    """The half precision that some layer of a Keras model computes in, or ""."""
    return next((name for name in _policies(model.get_config()) if name in HALF), "")


def in_float32(model: Any) -> Any:
    """The same network and weights as a new ``keras.Model`` of which every layer computes in float32."""
    twin = type(model).from_config(float32_config(model.get_config()))
    give_all(twin, model)
    return twin


def float32_config(config: Any) -> Any:
    """A layer's or model's configuration, nested ones included, with float32 for half precision."""
    if isinstance(config, list | tuple):
        return type(config)(float32_config(value) for value in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": "float32"}}
    return {
        key: "float32" if key == "dtype" and isinstance(value, str) else float32_config(value)
        for key, value in config.items()
    }


def _policies(config: Any) -> Iterator[str]:
    """Names of all data types that a configuration gives its layers."""
    if isinstance(config, list | tuple):
        for value in config:
            yield from _policies(value)
    elif isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            yield config["config"]["name"]
        for key, value in config.items():
            if key == "dtype" and isinstance(value, str):
                yield value
            yield from _policies(value)
