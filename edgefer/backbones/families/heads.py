"""What stands on a body's feature maps: pooling, fully connected layers with dropout, softmax."""

from __future__ import annotations

from typing import Any, Literal

from edgefer.spec import Frozen

# The first layer of a head by either way of pooling, and the last one of every network.
FIRST, LAST = {"average": "pool", "flatten": "flatten"}, "probabilities"


class HeadOptions(Frozen, frozen=True):
    """Settings of a head; families add their own.

    ``pooling`` turns the maps into a vector: their means, or all their values one after the other.
    ``head_units`` are the widths of the fully connected ReLU layers that follow, each with ``dropout`` after it;
    without any, dropout stands between pooling and softmax.
    """

    pooling: Literal["average", "flatten"] = "average"
    head_units: tuple[int, ...] = ()
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be in [0, 1)")
        if self.head_units and min(self.head_units) < 1:
            raise ValueError("head_units must be positive")


def with_head(body: Any, classes: int, options: HeadOptions, name: str) -> Any:
    """Return the uncompiled ``keras.Model`` of ``body`` and a head that tells ``classes`` apart.

    The body's output is (N, H, W, C), or a vector (N, D) where pooling is ``flatten``.
    """
    from keras import Model, layers

    pool = {"average": layers.GlobalAveragePooling2D, "flatten": layers.Flatten}[options.pooling]
    value = pool(name=FIRST[options.pooling])(body.output)
    for number, units in enumerate(options.head_units, start=1):
        value = layers.Dense(units, activation="relu", name=f"dense_{number}")(value)
        value = layers.Dropout(options.dropout, name=f"dropout_{number}")(value)
    if not options.head_units:
        value = layers.Dropout(options.dropout, name="dropout")(value)
    # Softmax stays in float32 where the rest runs in half precision.
    output = layers.Dense(classes, activation="softmax", dtype="float32", name=LAST)(value)
    return Model(body.input, output, name=name)


def body_length(model: Any) -> int:
    """Number of layers below the head, as ``model.layers`` counts them: the input layer is the first."""
    names = [layer.name for layer in model.layers]
    starts = [names.index(name) for name in (*FIRST.values(), LAST) if name in names]
    return min(starts, default=len(names) - 1)
