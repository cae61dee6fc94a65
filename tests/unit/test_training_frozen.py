"""Frozen prefixes: what of a network keeps its weights in training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_samples import tiny_dataset, tiny_recipe

from edgefer.backbones.base import Family
from edgefer.errors import SettingError, WeightsUnavailableError
from edgefer.training.network import build_network, load_network
from edgefer.training.trainer import train


def build_layered(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Five layers, the input counted, below a head; ``given`` weights can be had, ``lost`` ones cannot."""
    from keras import Input, Model, layers

    from edgefer.backbones.families.heads import HeadOptions, with_head

    assert not options
    if weights == "lost":
        raise WeightsUnavailableError("lost weights could not be fetched: no route")
    image = Input(input_shape, name="image")
    value = image
    for number in (1, 2):
        value = layers.Conv2D(4, 3, strides=4, use_bias=False, name=f"conv{number}")(value)
        value = layers.BatchNormalization(momentum=0.5, name=f"norm{number}")(value)
    return with_head(Model(image, value), classes, HeadOptions(head_units=(5,)), "layered")


@pytest.fixture(autouse=True)
def layered_family() -> Iterator[None]:
    families = {"layered": Family(id="layered", build=build_layered)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgefer.training.network.discover", lambda *_: families)
        yield


def network(weights: str, frozen: int, missing: str = "error") -> tuple[Any, str]:
    backbone = f"family='layered', weights='{weights}', weights_missing='{missing}', frozen={frozen}"
    return build_network(tiny_recipe(f"backbone={{{backbone}, options={{}}}}"), 9)


def changed_by_a_step(model: Any) -> set[str]:
    """Names of the layers that a step of training changes in any weight."""
    rng = np.random.default_rng(0)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.train_on_batch(rng.random((8, 32, 32, 3), np.float32), np.eye(9, dtype=np.float32)[:8])
    pairs = {layer.name: zip(before[layer.name], layer.get_weights(), strict=True) for layer in model.layers}
    return {name for name, each in pairs.items() if any(not np.array_equal(old, new) for old, new in each)}


def trained(model: Any) -> set[str]:
    return {name for name in changed_by_a_step(model) if not name.startswith("dropout")}


def test_the_first_layers_keep_weights_and_running_statistics():
    model, words = network("given", frozen=3)
    assert words == "given weights (3 layers frozen)"
    assert trained(model) == {"conv2", "norm2", "dense_1", "probabilities"}


def test_a_resumed_run_leaves_the_same_layers_frozen(tmp_path: Path):
    model, _ = network("given", frozen=3)
    changed_by_a_step(model)
    model.save(tmp_path / "epoch.keras")
    resumed = load_network(tmp_path / "epoch.keras", tiny_recipe().training)
    assert trained(resumed) == {"conv2", "norm2", "dense_1", "probabilities"}
    assert resumed.count_params() == model.count_params()


def test_the_kept_network_can_be_trained_further_as_a_whole(tmp_path: Path):
    import keras

    backbone = "backbone={family='layered', weights='given', frozen=3, options={}}"
    kept = train(tiny_recipe(backbone, "training.epochs=1"), tiny_dataset(), tmp_path / "run").path
    assert all(layer.trainable for layer in keras.saving.load_model(kept).layers)


def test_all_below_the_head_can_be_frozen():
    model, _ = network("given", frozen=5)
    assert trained(model) == {"dense_1", "probabilities"}


@pytest.mark.parametrize("weights", ["given", "none"])
def test_a_prefix_longer_than_the_network_is_refused(weights: str):
    with pytest.raises(
        SettingError, match="frozen = 6: layered has 5 layers below its head; choose 0 to 5"
    ) as caught:
        network(weights, frozen=6)
    assert caught.value.key == "backbone.frozen"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("none", "random weights (frozen prefix of 3 layers trained too)"),
        (
            "lost",
            "random weights (frozen prefix of 3 layers trained too; lost weights could not be fetched: no route)",
        ),
    ],
)
def test_random_weights_are_never_frozen_and_the_record_says_so(weights: str, said: str):
    model, words = network(weights, frozen=3, missing="random")
    assert words == said
    assert {"conv1", "norm1", "conv2"} < trained(model)
