"""MobileNetV2 (Sandler et al. 2018) of keras.applications under S0's head: pooling, dropout, softmax."""

from __future__ import annotations

from typing import Any, Literal

from edgefer.backbones.base import Family
from edgefer.backbones.families.options import read_options
from edgefer.backbones.families.weights import with_weights
from edgefer.spec import Frozen


class Options(Frozen, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``alpha`` widens the network. ``stem_stride`` 1 is the adaptation to low resolution: the first convolution
    keeps all pixels, so that a 48x48 face ends at 3x3 and not at 2x2 features, at four times the work; the
    weights' shapes stay the same. ``batch_norm_momentum`` 0.999 is the network's own; its running statistics
    lag behind for thousands of steps, which a short schedule does not have.
    """

    dropout: float = 0.2
    alpha: float = 1.0
    stem_stride: Literal[1, 2] = 2
    batch_norm_momentum: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1 or not 0 < self.batch_norm_momentum < 1 or not self.alpha > 0:
            raise ValueError("dropout and batch_norm_momentum must be shares, alpha positive")


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels), at least 32 pixels a side.

    Raises:
        InputError: an unknown or bad option, too small an input, weights that do not fit.
        WeightsUnavailableError: named weights cannot be fetched.
    """
    import keras

    chosen = read_options("mobilenetv2", options, Options)

    def application(source: str | None) -> Any:
        return keras.applications.MobileNetV2(
            input_shape=input_shape, alpha=chosen.alpha, include_top=False, weights=source
        )

    body = _adapt(with_weights(application, weights), chosen)
    features = keras.layers.GlobalAveragePooling2D(name="pool")(body.output)
    features = keras.layers.Dropout(chosen.dropout, name="dropout")(features)
    # Softmax stays in float32 where the rest runs in half precision.
    output = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(
        features
    )
    return keras.Model(body.input, output, name="mobilenetv2")


def _adapt(body: Any, options: Options) -> Any:
    """Rebuild the network with the chosen stem stride and momentum; its weights are taken over unchanged."""
    import keras

    config = body.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["momentum"] = options.batch_norm_momentum
        elif layer["name"] == "Conv1":
            layer["config"]["strides"] = (options.stem_stride,) * 2
    adapted = keras.Model.from_config(config)
    adapted.set_weights(body.get_weights())
    return adapted


FAMILIES = (Family(id="mobilenetv2", build=build),)
