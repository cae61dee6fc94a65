"""Fitting a network made for 224x224 images to small faces and short schedules, with weights of the same shapes.

Five halvings leave 2x2 positions of a 48x48 image, and most of the convolutions look at borders only. Where
the first one (the stem) keeps all positions, every later map has twice the side, at four times the work.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from edgefer.backbones.families.heads import HeadOptions


class AdaptedOptions(HeadOptions, frozen=True):
    """Settings of a network with batch normalisation and a strided first convolution.

    ``stem_stride`` 2 is the network as published, 1 its adaptation to low resolution. ``batch_norm_momentum``
    is how slowly the running statistics follow: 0.999 needs thousands of steps, which a short schedule
    does not have.
    """

    stem_stride: Literal[1, 2] = 2
    batch_norm_momentum: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.batch_norm_momentum < 1:
            raise ValueError("batch_norm_momentum must be between 0 and 1")


def adapted(body: Any, options: AdaptedOptions, *, stem: str, dropped: Collection[str] = ()) -> Any:
    """Rebuild ``body`` with the options' stride of the layer ``stem`` and momentum; its weights are taken over.

    Layers named in ``dropped`` (without weights) hand their input on; they stay in the layers' count.
    """
    import keras

    def renewed(layer: Any) -> Any:
        if layer.name in dropped:
            return keras.layers.Identity(name=layer.name)
        config = layer.get_config()
        if layer.name == stem:
            config["strides"] = (options.stem_stride,) * 2
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = options.batch_norm_momentum
        return type(layer).from_config(config)

    result = keras.models.clone_model(body, clone_function=renewed)
    result.set_weights(body.get_weights())
    return result
