"""The network that a run leaves behind, whatever it was trained as: Keras's own layers, computing in float32."""

from __future__ import annotations

from typing import Any

from edgefer.backbones.half import float32_config
from edgefer.backbones.rebuilding import give_all
from edgefer.training.stand_ins import without_stand_ins


def kept(model: Any) -> Any:
    """The same network and weights as a new ``keras.Model``, uncompiled."""
    twin = type(model).from_config(without_stand_ins(float32_config(model.get_config())))
    give_all(twin, model)
    return twin
