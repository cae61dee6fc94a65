"""The seed documents' protocols, as the recipes write them down."""

from __future__ import annotations

import numpy as np
import pytest

from edgefer.preprocessing import to_floats
from edgefer.recipe import PRESETS, Plateau
from edgefer.recipe_loading import load_recipe

S0 = ("efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2", "resnet50v2", "weak", "strong", "final")
S2 = ("resnet50", "resnet50t", "vgg19", "aux-resnet50", "aux-resnet50t", "aux-efficientnet")
S3 = ("main", "baseline", "ablation-sgd", "ablation-adam")
OWN = (
    *(f"s0-{name}" for name in S0),
    *(f"s2-{name}" for name in S2),
    *(f"s3-{name}" for name in S3),
    "s1-resnet50",
    "s1-senet50",
    "s1-vgg16",
    "s4-facenet",
)


@pytest.mark.parametrize("name", OWN)
def test_a_seed_recipe_names_its_source_and_what_its_figure_means(name: str):
    recipe = load_recipe(name)
    assert recipe.source.document.startswith(f"{name[:2].upper()}: ")
    assert recipe.source.reported
    assert recipe.source.remark
    if recipe.backbone.weights != "none":
        assert recipe.backbone.weights_missing == "random"


@pytest.mark.parametrize("name", S0)
def test_s0_is_trained_as_the_document_says(name: str):
    recipe = load_recipe(f"s0-{name}")
    training, spec = recipe.training, recipe.input
    assert (training.epochs, training.batch_size) == (50, 512)
    assert (training.optimizer, training.learning_rate, training.targets) == ("adam", 1e-3, "majority")
    assert (spec.height, spec.width, spec.channels, spec.range) == (48, 48, 3, (-1.0, 1.0))
    assert (recipe.backbone.weights, recipe.backbone.options["stem_stride"]) == ("imagenet", 2)
    preset = {"weak": "weak", "strong": "strong", "final": "strong"}.get(name, "none")
    assert recipe.augmentation == PRESETS[preset]
    assert (training.schedule == Plateau(patience=10, factor=0.1)) == (name == "final")


@pytest.mark.parametrize("name", ["s0-mobilenetv2-48", "s0-efficientnetv2b0-48"])
def test_the_adapted_networks_start_from_scratch_with_all_pixels(name: str):
    backbone = load_recipe(name).backbone
    assert (backbone.weights, backbone.options["stem_stride"]) == ("none", 1)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("s1-resnet50", (91.4953, 103.8827, 131.0912)),
        ("s1-senet50", (91.4953, 103.8827, 131.0912)),
        ("s1-vgg16", (93.5940, 104.7624, 129.1863)),
        ("s2-resnet50t", (103.939, 116.779, 123.68)),
        ("s4-facenet", (91.4953, 103.8827, 131.0912)),
    ],
)
def test_pixels_become_what_the_weights_were_trained_on(name: str, means: tuple[float, ...]):
    spec = load_recipe(name).input
    pixels = np.full((1, spec.height, spec.width, 1), 200, np.uint8)
    assert to_floats(pixels, spec)[0, 0, 0] == pytest.approx([200 - mean for mean in means], abs=1e-3)


@pytest.mark.parametrize("name", S2)
def test_s2_deals_anew_and_moves_by_ten_pixels(name: str):
    recipe = load_recipe(f"s2-{name}")
    assert recipe.data.sets == (("fer2013", "ck+") if name.startswith("aux-") else ("fer2013",))
    assert recipe.data.optional == (("affectnet",) if name.startswith("aux-") else ())
    assert (recipe.data.split, recipe.data.shares) == ("grouped", (0.8, 0.1, 0.1))
    assert recipe.augmentation.shift * recipe.input.width == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    ("name", "epochs", "optimizer", "rate"),
    [
        ("main", 20, "adam", 1e-4),
        ("baseline", 20, "adam", 1e-3),
        ("ablation-sgd", 10, "sgd", 1e-3),
        ("ablation-adam", 15, "adam", 1e-3),
    ],
)
def test_s3_is_trained_as_its_table_4_says(name: str, epochs: int, optimizer: str, rate: float):
    recipe = load_recipe(f"s3-{name}")
    assert (recipe.data.labels, recipe.data.split, recipe.data.shares) == (
        "basic-6",
        "grouped",
        (0.6, 0.2, 0.2),
    )
    assert (recipe.training.batch_size, recipe.training.epochs) == (256, epochs)
    assert (recipe.training.optimizer, recipe.training.learning_rate) == (optimizer, rate)
