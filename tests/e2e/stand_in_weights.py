"""Files in place of published weights: a deep network with them learns patterns in some dozen steps.

A random deep network multiplies every rounding: it would need hundreds of steps before its int8 files answer as it
does. Here, as in a trained one, batch-norm statistics fit the images and residual branches add little to what they
branch off. The classifier and its hidden layers are not in the file; training starts them at random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgefer.backbones.families.heads import body_length
from edgefer.datasets.base import Dataset
from edgefer.preprocessing import to_floats
from edgefer.recipe import Recipe
from edgefer.registry import discover

ROWS = 64
RESIDUAL_SHARE = 0.1
# What ends a residual branch in the families' networks.
LAST_NORMS = ("project_bn", "project_BN", "_3_bn", "_1x1_increase_bn")
LAST_CONVOLUTIONS = ("_3_conv",)
FACE_FAMILIES = ("facenet-resnet50", "senet50", "vggface-vgg16")


def write_stand_in(recipe: Recipe, dataset: Dataset, folder: Path) -> Path:
    """Write what ``backbone.weights`` of the recipe can name, as its family takes it."""
    import keras

    keras.utils.set_random_seed(1)
    spec, backbone = recipe.input, recipe.backbone
    family = discover("edgefer.backbones.families", "FAMILIES")[backbone.family]
    model = family.build((spec.height, spec.width, spec.channels), 2, None, backbone.options)
    body = keras.Model(model.input, model.layers[body_length(model) - 1].output)
    _calm(body, to_floats(dataset.split("train").pixels[:ROWS], spec))
    if backbone.family in FACE_FAMILIES:
        return _write_keras_2(body, folder / "weights.h5")
    if backbone.family == "embedding":
        body.save(folder / "network.keras")
        return folder / "network.keras"
    body.save_weights(folder / "body.weights.h5")
    return folder / "body.weights.h5"


def _calm(body: Any, floats: np.ndarray) -> None:
    import keras

    norms = [layer for layer in body.layers if isinstance(layer, keras.layers.BatchNormalization)]
    names = {layer.name for layer in norms}
    for layer in body.layers:
        if layer in norms and layer.name.endswith(LAST_NORMS):
            layer.gamma.assign(layer.gamma * RESIDUAL_SHARE)
        if layer.name.endswith(LAST_CONVOLUTIONS) and layer.name.replace("_conv", "_bn") not in names:
            layer.kernel.assign(layer.kernel * RESIDUAL_SHARE)
    for layer in norms:
        layer.momentum = 0.0
    body(floats, training=True)


def _write_keras_2(body: Any, path: Path) -> Path:
    """Arrays by layer name, as the keras-vggface project's files hold them."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in body.layers]
        for layer in body.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{number}" for number in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, layer.get_weights(), strict=True):
                group[name] = array
    return path
