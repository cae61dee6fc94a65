"""ResNet50 (He et al. 2016) and ResNet50V2 (He et al. 2016, "Identity mappings") of keras.applications.

ResNet50's ImageNet weights were trained on BGR pixels in 0..255 less 103.939, 116.779, 123.68; ResNet50V2's
on pixels in -1..1.
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
    """Settings of a recipe's ``[backbone.options]``.

    ``stem_pool`` false leaves out the max-pool behind the first convolution, the second halving: with
    ``stem_stride`` 1 too, a 48x48 face keeps 6x6 positions at the end.
    """

    stem_pool: bool = True


def build(
    network: str,
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
    options: dict[str, Any],
) -> Any:
    """Return the uncompiled ``network`` (ResNet50 …) for ``input_shape``, at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: named weights cannot be fetched.
    """
    chosen = read_options(network.lower(), options, Options)
    dropped = () if chosen.stem_pool else ("pool1_pad", "pool1_pool")
    body = application(network, input_shape, weights)
    body = adapted(body, chosen, stem="conv1_conv", dropped=dropped)
    return with_head(body, classes, chosen, network.lower())


FAMILIES = tuple(
    Family(id=network.lower(), build=partial(build, network)) for network in ("ResNet50", "ResNet50V2")
)
