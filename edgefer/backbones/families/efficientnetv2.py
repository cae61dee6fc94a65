"""EfficientNetV2 B0 to B2 (Tan and Le 2021) of keras.applications.

Keras' own rescaling inside the network is left out: a recipe's InputSpec says what the pixels become. The
ImageNet weights were trained on mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 (RGB).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from edgefer.backbones.base import Family
from edgefer.backbones.families.adaptation import AdaptedOptions, adapted
from edgefer.backbones.families.heads import with_head
from edgefer.backbones.families.options import read_options
from edgefer.backbones.families.weights import application


class Options(AdaptedOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``."""

    batch_norm_momentum: float = 0.9


def build(
    size: str,
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
    options: dict[str, Any],
) -> Any:
    """Return the uncompiled network of a ``size`` (B0 …) for ``input_shape``, at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: named weights cannot be fetched.
    """
    name = f"efficientnetv2{size.lower()}"
    chosen = read_options(name, options, Options)
    body = application(f"EfficientNetV2{size}", input_shape, weights, include_preprocessing=False)
    body = adapted(body, chosen, stem="stem_conv")
    return with_head(body, classes, chosen, name)


FAMILIES = tuple(
    Family(id=f"efficientnetv2{size.lower()}", build=partial(build, size)) for size in ("B0", "B1", "B2")
)
