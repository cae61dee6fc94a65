from __future__ import annotations

import numpy as np
import pytest
from training_samples import TINY_FAMILY, tiny_recipe

from edgefer.errors import WeightsUnavailableError
from edgefer.recipe_loading import load_recipe
from edgefer.training.network import build_network


def network(*overrides: str):
    return build_network(load_recipe("s0-mobilenetv2", ("backbone.weights=none", *overrides)), 9)


def test_the_literal_network_of_the_document():
    model, words = network()
    assert words == "random weights"
    assert (model.input_shape, model.output_shape) == ((None, 48, 48, 3), (None, 9))
    # keras.applications' MobileNetV2 without its top has 2,257,984 parameters; the head adds 1280 x 9 + 9.
    assert model.count_params() == 2_257_984 + 1280 * 9 + 9
    assert model.get_layer("out_relu").output.shape == (None, 2, 2, 1280)
    assert model.get_layer("bn_Conv1").momentum == 0.999


def test_the_stem_can_keep_all_pixels_with_the_same_weights():
    model, _ = network("backbone.options.stem_stride=1", "backbone.options.batch_norm_momentum=0.99")
    assert model.count_params() == 2_257_984 + 1280 * 9 + 9
    assert model.get_layer("out_relu").output.shape == (None, 3, 3, 1280)
    assert model.get_layer("bn_Conv1").momentum == 0.99


def test_the_seed_decides_the_weights():
    one, same, other = (network("backbone.options.alpha=0.35", f"seed={seed}")[0] for seed in (1, 1, 2))
    kernel = [model.get_layer("Conv1").get_weights()[0] for model in (one, same, other)]
    assert np.array_equal(kernel[0], kernel[1])
    assert not np.array_equal(kernel[0], kernel[2])


@pytest.mark.parametrize(
    ("name", "kind", "own"),
    [
        ("adam", "Adam", {}),
        ("adamw", "AdamW", {"weight_decay": 0.02}),
        ("sgd", "SGD", {"momentum": 0.8, "nesterov": False, "weight_decay": 0.02}),
        ("sgd-nesterov", "SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    ],
)
def test_optimizers(name: str, kind: str, own: dict[str, object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})
    decay = ["training.weight_decay=0.02"] if "weight_decay" in own else []
    recipe = tiny_recipe(f"training.optimizer={name}", "training.momentum=0.8", "training.ema=0.9", *decay)
    optimizer = build_network(recipe, 9)[0].optimizer
    assert type(optimizer).__name__ == kind
    config = optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(1e-3)
    assert (config["use_ema"], config["ema_momentum"]) == (True, 0.9)
    assert own.items() <= config.items()


def test_a_failed_download_is_a_typed_error(monkeypatch: pytest.MonkeyPatch):
    import keras

    def offline(**_: object) -> object:
        raise Exception("URL fetch failure on https://example.org/x.h5: None -- no route")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    recipe = load_recipe("s0-mobilenetv2", ["backbone.weights_missing=error"])
    with pytest.raises(
        WeightsUnavailableError, match=r"imagenet weights could not be fetched.*path of a file"
    ):
        build_network(recipe, 9)
