"""The network that a run leaves behind, whatever it was trained as: Keras's own layers, computing in float32."""

from __future__ import annotations

from typing import Any

from edgefer.training.normalization import FUSED


def kept(model: Any) -> Any:
    """The same network and weights as a new ``keras.Model``, uncompiled."""
    twin = type(model).from_config(_plain(model.get_config()))
    twin.set_weights(model.get_weights())
    return twin


def _plain(config: Any) -> Any:
    """A layer's configuration, nested ones included, without half precision and fused normalisation."""
    if isinstance(config, list | tuple):
        return type(config)(_plain(value) for value in config)
    if not isinstance(config, dict):
        return config
    match config.get("class_name"):
        case "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        case name if name == FUSED:
            keras_own = {
                "module": "keras.layers",
                "class_name": "BatchNormalization",
                "registered_name": None,
            }
            return {**config, **keras_own, "config": _plain(config["config"])}
    return {key: _plain(value) for key, value in config.items()}
