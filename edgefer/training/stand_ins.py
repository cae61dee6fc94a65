"""Layers that TensorFlow trains faster in another form, for as long as a network trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edgefer.backbones.rebuilding import give_all
from edgefer.training.depthwise import can_be_padded, padded_class
from edgefer.training.normalization import can_be_fused, fused_class


class StandIn(NamedTuple):
    """``layer()`` takes the weights and the configuration of Keras's class ``original``, where ``fits(layer)``."""

    original: str
    fits: Callable[[Any], bool]
    layer: Callable[[], Any]


STAND_INS = {
    "FusedBatchNormalization": StandIn("BatchNormalization", can_be_fused, fused_class),
    "PaddedDepthwiseConv2D": StandIn("DepthwiseConv2D", can_be_padded, padded_class),
}
"""By the name of their class, as files of Keras have it."""


def with_stand_ins(model: Any) -> Any:
    """The same network and weights as a new ``keras.Model`` that trains faster; ``model`` itself without TensorFlow."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return model

    def copied(layer: Any) -> Any:
        kind = next((one.layer() for one in STAND_INS.values() if one.fits(layer)), type(layer))
        return kind.from_config(layer.get_config())

    twin = keras.models.clone_model(model, clone_function=copied, recursive=True)
    give_all(twin, model)
    return twin


def stand_in_classes() -> dict[str, Any]:
    """What a checkpoint of a network with stand-ins is opened with."""
    return {name: one.layer() for name, one in STAND_INS.items()}


def without_stand_ins(config: Any) -> Any:
    """A layer's configuration, nested ones included, with Keras's own layers for those that stand in for them."""
    if isinstance(config, list | tuple):
        return type(config)(without_stand_ins(value) for value in config)
    if not isinstance(config, dict):
        return config
    if (name := config.get("class_name")) in STAND_INS:
        own = STAND_INS[name].original
        return {**config, "module": "keras.layers", "class_name": own, "registered_name": None}
    return {key: without_stand_ins(value) for key, value in config.items()}
