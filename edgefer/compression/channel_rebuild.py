"""The network with its removed channels gone: new, narrower layers with the kept weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.backbones.rebuilding import copied_weights, remade
from edgefer.compression.channel_groups import Channels, Keep
from edgefer.compression.channel_marks import Use


def rebuilt(channels: Channels, keep: Keep) -> Any:
    """Build the dense ``keras.Model`` of a plan, bool (units,): layers keep their names and order.

    It puts out what the whole network does when the removed channels are zero wherever they are read. Nested models
    are opened; of two layers with one name the second gets a number. No weight is shared with the whole network.

    Raises:
        ConversionError: a layer cannot be made again from its configuration.
    """
    uses = {id(use.layer): use for use in channels.uses}

    def size(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(size(part) for part in value)
        return len(channels.places(value, keep)) if isinstance(value, np.ndarray) else value

    return remade(
        channels.model,
        lambda layer: {key: size(value) for key, value in uses[id(layer)].settings.items()},
        lambda layer: _kept(channels, uses[id(layer)], keep),
    )


def _kept(channels: Channels, use: Use, keep: Keep) -> list[Any]:
    kept = []
    for values, weight in zip(copied_weights(use.layer), use.weights, strict=True):
        for axis, ids in weight.ids.items():
            values = values.take(channels.places(ids, keep), axis)
        kept.append(values)
    return kept
