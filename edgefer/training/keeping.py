"""The network that a run leaves behind, whatever it was trained as: Keras's own layers, computing in float32."""

from __future__ import annotations

from typing import Any

from edgefer.backbones.half import float32_config
from edgefer.backbones.rebuilding import give_all
from edgefer.training.normalization import FUSED


def kept(model: Any) -> Any:
    """The same network and weights as a new ``keras.Model``, uncompiled."""
    twin = type(model).from_config(_unfused(float32_config(model.get_config())))
    give_all(twin, model)
    return twin


def _unfused(config: Any) -> Any:
    """A layer's configuration, nested ones included, with Keras's own normalisation for the fused one."""
    if isinstance(config, list | tuple):
        return type(config)(_unfused(value) for value in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == FUSED:
        return {
            **config,
            "module": "keras.layers",
            "class_name": "BatchNormalization",
            "registered_name": None,
        }
    return {key: _unfused(value) for key, value in config.items()}
