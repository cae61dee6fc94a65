"""A network with the moving average of its weights in place, for as long as it is evaluated and saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.preprocessing import Floats

ROWS = 4096  # Wu and Johnson 2021 find a few thousand rows enough to estimate batch-norm statistics


@contextmanager
def averaged_weights(model: Any, inputs: Iterable[Floats]) -> Iterator[None]:
    """Inside, ``model`` has its averaged weights; afterwards it has its own again, bit for bit.

    The optimizer (``use_ema``) averages trainable variables only. The running statistics of batch normalization
    belong to the raw weights, so they are estimated anew on ``inputs``, batches (B, H, W, channels) as in
    training: Izmailov et al. 2018, "Averaging weights leads to wider optima", section 3.2.
    """
    raw = _copied_weights(model)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    # On JAX weight and average are one buffer now, which the next compiled call takes away from both.
    model.set_weights(_copied_weights(model))
    try:
        _estimate_statistics(model, inputs)
        yield
    finally:
        model.set_weights(raw)


def _copied_weights(model: Any) -> list[npt.NDArray[Any]]:
    return [np.array(weight) for weight in model.get_weights()]


def _estimate_statistics(model: Any, inputs: Iterable[Floats]) -> None:
    """Replace the running statistics by their plain mean over ``inputs``."""
    layers = _normalizations(model)
    if not layers:
        return
    before = [layer.momentum for layer in layers]
    try:
        for count, batch in enumerate(inputs):
            for layer in layers:
                layer.momentum = count / (count + 1)
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


def _normalizations(model: Any) -> list[Any]:
    """Batch normalizations that keep statistics; a frozen one works with those it came with."""
    import keras

    # No public method reaches the layers inside layers.
    layers = model._flatten_layers()
    return [one for one in layers if isinstance(one, keras.layers.BatchNormalization) and one.trainable]
