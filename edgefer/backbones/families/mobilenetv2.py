"""MobileNetV2 (Sandler et al. 2018) of keras.applications."""

from __future__ import annotations

from typing import Any

from edgefer.backbones.base import Family
from edgefer.backbones.families.adaptation import AdaptedOptions, adapted
from edgefer.backbones.families.heads import with_head
from edgefer.backbones.families.options import read_options
from edgefer.backbones.families.weights import application


class Options(AdaptedOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``; ``alpha`` widens the network."""

    alpha: float = 1.0
    batch_norm_momentum: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.alpha > 0:
            raise ValueError("alpha must be positive")


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels), at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: named weights cannot be fetched.
    """
    chosen = read_options("mobilenetv2", options, Options)
    body = application("MobileNetV2", input_shape, weights, alpha=chosen.alpha)
    body = adapted(body, chosen, stem="Conv1")
    return with_head(body, classes, chosen, "mobilenetv2")


FAMILIES = (Family(id="mobilenetv2", build=build),)
