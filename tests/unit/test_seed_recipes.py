"""The seed documents' protocols, as the recipes write them down."""

from __future__ import annotations

import re
from functools import reduce
from operator import getitem
from typing import Any

import msgspec
import numpy as np
import pytest

from edgefer.datasets.labels import LABEL_SETS
from edgefer.preprocessing import to_floats
from edgefer.recipe import PRESETS, EnsembleRecipe, EvaluationPart, Plateau, Recipe
from edgefer.recipe_loading import load_recipe, recipe_ids

S0 = (
    "mobilenetv2",
    "efficientnetv2b0",
    "efficientnetv2b1",
    "efficientnetv2b2",
    "resnet50v2",
    "weak",
    "strong",
    "final",
)
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

# What the documents say and no more: where one is silent, the recipe's choice is not pinned here.
S0_ALL = {  # said of the choice of a backbone; the document goes on from it without naming others
    "data.labels": "ferplus-9",
    "input.height": 48,
    "input.width": 48,
    "input.channels": 3,
    "input.range": (-1.0, 1.0),
    "training.epochs": 50,
    "training.batch_size": 512,
    "training.optimizer": "adam",
    "training.learning_rate": 1e-3,
}
S1_ALL = {
    "data.labels": "fer2013-7",
    "augmentation.flip": True,
    "augmentation.rotation": 10,
    "augmentation.zoom": 0.1,
    "augmentation.shift": 0.1,
}
S1_FACES = {
    **S1_ALL,
    "input.height": 197,
    "input.width": 197,
    "input.channels": 3,
    "backbone.options.head_units": [4096, 1024],
}
S1_SGD = {
    "backbone.frozen": 170,
    "training.epochs": 122,
    "training.batch_size": 128,
    "training.optimizer": "sgd",
    "training.learning_rate": 0.01,
}
S2_ALONE = {
    "data.labels": "fer2013-7",
    "data.sets": ("fer2013",),
    "data.shares": (0.8, 0.1, 0.1),
    "input.height": 48,
    "input.width": 48,
    "augmentation.flip": True,
    "augmentation.rotation": 10,
    "augmentation.shift": pytest.approx(10 / 48, abs=1e-4),
}
S2_MERGED = {**S2_ALONE, "data.sets": ("fer2013", "ck+"), "data.optional": ("affectnet",)}
S3_ALL = {
    "data.labels": "basic-6",
    "data.shares": (0.6, 0.2, 0.2),
    "input.height": 96,
    "input.width": 96,
    "input.channels": 3,
    "input.range": (0.0, 1.0),
    "training.optimizer": "adam",
    "augmentation.flip": True,
    "augmentation.rotation": 20,
    "augmentation.zoom": 0.1,
}
S3_FACES = {
    **S3_ALL,
    "backbone.weights": "vggface",
    "backbone.options.head_units": [4096, 4096],
    "training.batch_size": 256,
}
S4_ALL = {
    "data.labels": "basic-5-neutral",
    "data.sets": ("fer2013", "ck+"),
    "data.optional": ("jaffe",),
    "input.height": 64,
    "input.width": 64,
}
GIVEN: dict[str, dict[str, dict[str, Any]]] = {
    "000_f0ffa467900cdf67": {f"s0-{name}": S0_ALL for name in S0},
    "001_5f98c63fb665a040": {
        "s1-baseline": {
            **S1_ALL,
            "input.height": 48,
            "input.width": 48,
            "backbone.weights": "none",
            "backbone.options.filters": 32,
            "backbone.options.dropout": 0.5,
        },
        "s1-tta": {**S1_ALL, "backbone.options.convolutions": 5, "evaluation.tta": "s1-seven"},
        "s1-resnet50": {**S1_FACES, **S1_SGD},
        "s1-senet50": {**S1_FACES, **S1_SGD},
        "s1-vgg16": {
            **S1_FACES,
            "backbone.frozen": 19,  # "all the pre-trained layers"
            "backbone.options.dropout": 0.5,
            "training.epochs": 100,
            "training.optimizer": "adam",
        },
    },
    "002_f44e7b32306eadd3": {
        "s2-resnet50": S2_ALONE,
        "s2-resnet50t": S2_ALONE,
        "s2-vgg19": S2_ALONE,
        "s2-aux-resnet50": S2_MERGED,
        "s2-aux-resnet50t": S2_MERGED,
        "s2-aux-efficientnet": S2_MERGED,
    },
    "003_3a7c7f9db3a3a3ac": {
        "s3-main": {**S3_FACES, "training.learning_rate": 1e-4, "training.epochs": 20},
        "s3-baseline": {
            **S3_ALL,
            "backbone.weights": "imagenet",
            "training.learning_rate": 1e-3,
            "training.epochs": 20,
        },
        "s3-ablation-adam": {**S3_FACES, "training.learning_rate": 1e-3, "training.epochs": 15},
        "s3-ablation-sgd": {
            **S3_FACES,
            "training.optimizer": "sgd",
            "training.learning_rate": 1e-3,
            "training.epochs": 10,
        },
    },
    "004_464c23b1f434ab52": {
        "s4-easynet": {**S4_ALL, "backbone.options.head_units": [128]},
        "s4-emonet": S4_ALL,
        "s4-facenet": {
            **S4_ALL,
            "backbone.weights": "vggface2",
            "backbone.frozen": 100,
            "backbone.options.head_units": [4096, 1024],
            "training.optimizer": "sgd-nesterov",
            "augmentation.flip": True,
        },
    },
}


@pytest.mark.parametrize("name", OWN)
def test_a_seed_recipe_names_its_source_and_what_its_figure_means(name: str):
    recipe = load_recipe(name)
    assert recipe.source.document.startswith(f"{name[:2].upper()}: ")
    assert recipe.source.reported
    assert recipe.source.remark
    if recipe.backbone.weights != "none":
        assert recipe.backbone.weights_missing == "random"


@pytest.mark.parametrize("name", S0)
def test_s0_changes_images_and_rate_as_the_document_says(name: str):
    recipe = load_recipe(f"s0-{name}")
    training = recipe.training
    assert training.targets == "majority"
    assert (recipe.backbone.weights, recipe.backbone.options["stem_stride"]) == ("imagenet", 2)
    preset = {"weak": "weak", "strong": "strong", "final": "strong"}.get(name, "none")
    assert recipe.augmentation == PRESETS[preset]
    assert (training.schedule == Plateau(patience=10, factor=0.1)) == (name == "final")


@pytest.mark.parametrize(
    ("document", "name"), [(document, name) for document, recipes in GIVEN.items() for name in recipes]
)
def test_a_recipe_has_its_documents_own_numbers(document: str, name: str):
    recipe = load_recipe(name)
    assert f"({document})" in recipe.source.document
    given = GIVEN[document][name]
    assert {key: setting(recipe, key) for key in given} == given


def setting(recipe: Recipe | EnsembleRecipe, key: str) -> Any:
    return reduce(getitem, key.split("."), msgspec.to_builtins(recipe))


def test_all_recipes_of_the_documents_are_held_against_them():
    """But those that the documents give no number for: an idea of S0's, a network that we changed, S1's vote."""
    ours = {"s0-embedding", "s0-tiny-vit", "s0-mobilenetv2-48", "s0-efficientnetv2b0-48", "s1-ensemble"}
    of_documents = {name for name in recipe_ids() if re.match(r"s\d-", name)}
    assert {name for recipes in GIVEN.values() for name in recipes} == of_documents - ours


def test_s1s_ensemble_is_seven_models_three_of_them_with_and_without_class_weights():
    members = load_recipe("s1-ensemble").members
    weighted = ("training.class_weights=inverse",)
    assert len(members) == 7
    assert {one.recipe for one in members if one.set == weighted} == {"s1-resnet50", "s1-senet50", "s1-vgg16"}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("ferplus-9", "neutral happiness surprise sadness anger disgust fear contempt unknown"),
        ("fer2013-7", "anger disgust fear happiness sadness surprise neutral"),
        ("basic-6", "anger disgust fear happiness sadness surprise"),
        ("basic-5-neutral", "anger fear happiness sadness surprise neutral"),
    ],
)
def test_classes_stand_in_the_documents_order(labels: str, names: str):
    assert LABEL_SETS[labels].names == tuple(names.split())


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


def test_s1s_test_time_augmentation_is_tried_on_the_baseline_with_a_fifth_convolution():
    baseline, tta = load_recipe("s1-baseline"), load_recipe("s1-tta")
    options = {**baseline.backbone.options, "convolutions": 5}
    expected = msgspec.structs.replace(
        baseline,
        id=tta.id,
        title=tta.title,
        source=tta.source,
        backbone=msgspec.structs.replace(baseline.backbone, options=options),
        evaluation=EvaluationPart(tta="s1-seven"),
    )
    assert tta == expected


@pytest.mark.parametrize("name", S2)
def test_s2_decays_weights_whatever_the_optimizer(name: str):
    assert load_recipe(f"s2-{name}").training.weight_decay == 5e-4


def test_s4_changes_its_one_merged_set_in_one_way():
    one, *others = (load_recipe(f"s4-{name}") for name in ("easynet", "emonet", "facenet"))
    for other in others:
        assert (other.data, other.augmentation) == (one.data, one.augmentation)
