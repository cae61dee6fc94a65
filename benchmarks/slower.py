"""A twin of the shipped student that answers the same and takes a few percent longer: what a comparison must find.

Before the pooling stand a few more 1x1 convolutions whose kernels are the identity: real work for the runtime, which no
converter removes, and no change of the answers.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.costs import edgefer, run
from edgefer.zoo import models

STUDENT = "student-micro"
EXTRA = (1, 2)
"""Groups of each added convolution; together they take about 5 % of the network's time on one thread."""


def shipped() -> Path:
    """The int8 TFLite file that comes with the package."""
    return models()[STUDENT] / f"{STUDENT}-int8.tflite"


def slower(folder: Path, data: str, extra: tuple[int, ...] = EXTRA) -> Path:
    """The twin's int8 TFLite file below ``folder``, made unless it is there."""
    name = f"slower-{'-'.join(map(str, extra))}"
    made = folder / f"{name}-int8.tflite"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _padded(models()[STUDENT] / f"{STUDENT}.keras", extra).save(folder / f"{name}.keras")
        shutil.copy(models()[STUDENT] / f"{STUDENT}.edgefer.json", folder / f"{name}.edgefer.json")
        run(
            edgefer(
                "convert", folder / f"{name}.keras", "--to", "tflite-int8", "--data", data, "--out", folder
            )
        )
    return made


def _padded(path: Path, extra: tuple[int, ...]):  # type: ignore[no-untyped-def]  # Keras has no types
    """The network with identity convolutions before its layer ``pool``."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    x = model.get_layer("pool").input
    channels = x.shape[-1]
    for number, groups in enumerate(extra):
        layer = keras.layers.Conv2D(channels, 1, groups=groups, use_bias=False, name=f"extra-{number}")
        x = layer(x)
        layer.set_weights([_identity(channels, groups)])
    for name in ("pool", "dropout", "probabilities"):
        x = model.get_layer(name)(x)
    return keras.Model(model.input, x)


def _identity(channels: int, groups: int):  # type: ignore[no-untyped-def]
    """Kernel (1, 1, channels / groups, channels) that gives each channel itself."""
    inside = channels // groups
    return np.tile(np.eye(inside, dtype=np.float32), (1, groups))[None, None]
