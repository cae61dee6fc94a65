"""Files in place of published weights: a deep network with them learns patterns in half a dozen steps.

A random deep network multiplies every rounding: it would need hundreds of steps before its int8 files answer as it
does. Here, as in a trained one, batch-norm statistics fit the images and residual branches add little to what they
branch off. Most values fall on the rising part of their activation besides, where layers pass differences on as they
are and do not amplify them. The classifier and its hidden layers are not in the file; training starts them at random.
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
# Mean of what activations are given, in standard deviations. A network without batch norms hands it on to its
# classifier, where more would drown what differs.
SHIFT, SHIFT_WITHOUT_NORMS = 1.0, 0.5
# What ends a residual branch in the families' networks, and what adds it.
BRANCHES = {
    "_project_bn": "_add", "_project_BN": "_add", "_3_bn": "_add", "_1x1_increase_bn": "_add", "_3_conv": "_out",
}  # fmt: skip
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
    names = {layer.name for layer in body.layers}
    for layer in body.layers:
        if _ends_branch(layer.name, names):
            weight = layer.gamma if layer in norms else layer.kernel
            weight.assign(weight * RESIDUAL_SHARE)
    for layer in norms:
        layer.beta.assign(SHIFT * layer.gamma)
        layer.momentum = 0.0
    body(floats, training=True)
    if not norms:
        _scale(body, floats)


def _ends_branch(name: str, names: set[str]) -> bool:
    """Whether the layer is the last of a branch; where a block changes the shape, there is nothing to add it to."""
    ends = [end for end in BRANCHES if name.endswith(end)]
    return any(name.removesuffix(end) + BRANCHES[end] in names for end in ends)


def _scale(body: Any, floats: np.ndarray) -> None:
    """Layer by layer, give convolutions in one row the statistics that batch norms would see to."""
    import keras

    value = floats
    for layer in body.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D):
            sums = np.asarray(keras.ops.conv(value, layer.kernel, padding=layer.padding))
            mean, deviation = sums.mean((0, 1, 2)), sums.std((0, 1, 2)) + 1e-3
            layer.kernel.assign(layer.kernel / deviation)
            layer.bias.assign(SHIFT_WITHOUT_NORMS - mean / deviation)
        value = layer(value)


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
