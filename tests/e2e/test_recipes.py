"""Every shipped recipe at the size of a toy: it trains on the sets it names; its network then reaches int8 files.

The overrides make a recipe cheap and let its network settle within some dozen steps; data, family, optimizer,
augmentation, targets and votes stay the recipe's own. Weights that a recipe would fetch or ask the user for come from a
file of stand-in weights, and deep networks that start from scratch take one too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pattern_faces import write_all
from stand_in_weights import write_stand_in

from edgefer.backbones.loading import load_backbone
from edgefer.cli.ensembles import read_ensemble, train_members
from edgefer.datasets.base import Dataset
from edgefer.datasets.loading import load_for
from edgefer.pipeline import Options, choose_formats, convert
from edgefer.recipe import EnsembleRecipe, Recipe
from edgefer.recipe_loading import load_recipe, load_single, recipe_ids
from edgefer.training.run import Hooks, Trained
from edgefer.training.trainer import train

CALIBRATION = 63

PIXELS = ("input.height=32", "input.width=32")
HEAD = ("backbone.options.head_units=[64, 32]", "backbone.options.dropout=0.0")
SHORT = ("training.epochs=1", "training.batch_size=32")
# Stand-in weights survive half a dozen steps at this rate; a head of several layers needs twice as many.
GENTLE = ("training.epochs=1", "training.batch_size=64", "training.learning_rate=3e-4")
SMALL = (*SHORT, "training.epochs=3", "training.batch_size=16")
# Batch-norm statistics have to follow within ten steps.
SETTLED = ("backbone.options.batch_norm_momentum=0.5",)
# Where there is no batch norm, more steps at a lower rate.
STEADY = (*SHORT, "training.batch_size=16", "training.learning_rate=1e-4")

# Family: the settings that every recipe of it is trained with.
OVERRIDES: dict[str, tuple[str, ...]] = {
    "easynet": SMALL,
    "efficientnet-lite0": (*PIXELS, *GENTLE, *SETTLED),
    "efficientnetv2b0": (*PIXELS, *GENTLE, *SETTLED),
    "efficientnetv2b1": (*PIXELS, *GENTLE, *SETTLED),
    "efficientnetv2b2": (*PIXELS, *GENTLE, *SETTLED),
    "embedding": (*PIXELS, *SMALL),
    "emonet": (*PIXELS, *HEAD, *SMALL),
    "facenet-resnet50": (*PIXELS, *HEAD, *GENTLE, *SETTLED, "training.batch_size=32"),
    "mobilenetv2": (*PIXELS, *GENTLE, *SETTLED),
    "resnet50": (*PIXELS, *GENTLE, *SETTLED),
    "resnet50v2": (*PIXELS, *GENTLE, *SETTLED),
    "s1-cnn": SMALL,
    "student": (*SMALL, *SETTLED),
    "senet50": (*PIXELS, *HEAD, *GENTLE, *SETTLED, "training.batch_size=32"),
    # The recipe's five epochs of warm-up would be all there is.
    "tiny-vit": (*PIXELS, *SMALL, "training.epochs=5", "training.schedule={kind='cosine', warmup=0.3}"),
    "vgg16": (*PIXELS, *STEADY),
    "vgg19": (*PIXELS, *HEAD, *SHORT, "training.learning_rate=4e-4"),
    "vggface-vgg16": (*PIXELS, *HEAD, *STEADY),
}
STAND_IN = {
    "efficientnet-lite0", "efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2", "embedding", "facenet-resnet50",
    "mobilenetv2", "resnet50", "resnet50v2", "senet50", "vgg16", "vgg19", "vggface-vgg16",
}  # fmt: skip

# Recipes that train another recipe's network, otherwise or on other pictures: for these, two steps from random weights
# and no conversion. That the networks are the same is tested.
SAME_NETWORK = {
    "s0-weak": "s0-efficientnetv2b1",
    "s0-strong": "s0-efficientnetv2b1",
    "s0-final": "s0-efficientnetv2b1",
    "s2-aux-resnet50": "s2-resnet50",
    "s2-aux-resnet50t": "s2-resnet50t",
    "s3-ablation-adam": "s3-main",
    "s3-ablation-sgd": "s3-main",
}
TWO_STEPS = ("training.epochs=1", "training.batch_size=128", "backbone.weights=none")

ENSEMBLES = [name for name in recipe_ids() if isinstance(load_recipe(name), EnsembleRecipe)]
SINGLE = [name for name in recipe_ids() if name not in ENSEMBLES]
CONVERTED = [name for name in SINGLE if name not in SAME_NETWORK]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("faces"))


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks of earlier tests are forgotten."""
    import keras

    from edgefer.backbones.startup import start_keras

    start_keras()
    # A step of tf2onnx that fails is an error here, not left out; that also spares a copy of the graph at each step.
    monkeypatch.setenv("TF2ONNX_CATCH_ERRORS", "FALSE")
    yield
    keras.utils.clear_session()


@contextmanager
def stepwise(wanted: bool = True) -> Iterator[None]:
    """TensorFlow runs each operation as it comes: for a few steps, compiling a deep network costs more."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def rows_of(recipe: Recipe | EnsembleRecipe, faces: Path) -> Dataset:
    spec = recipe.input
    return load_for(faces, recipe.data, size=(spec.height, spec.width), channels=spec.pixel_channels)


def overrides_of(name: str) -> tuple[str, ...]:
    return OVERRIDES[load_single(name).backbone.family]


@pytest.mark.parametrize(("name", "other"), SAME_NETWORK.items())
def test_its_network_is_another_recipes(name: str, other: str):
    recipe, twin = load_single(name), load_single(other)
    assert recipe.backbone.family == twin.backbone.family
    assert recipe.backbone.options == twin.backbone.options
    assert (recipe.input, recipe.data.labels) == (twin.input, twin.data.labels)


@pytest.mark.parametrize("name", SAME_NETWORK)
def test_it_trains(name: str, faces: Path, tmp_path: Path):
    overrides = (*overrides_of(name), *TWO_STEPS)
    recipe = load_single(name, overrides)
    with stepwise():
        trained = train(recipe, rows_of(recipe, faces), tmp_path / "run", overrides=overrides)
    check_record(name, trained)


@pytest.mark.parametrize("name", CONVERTED)
def test_it_trains_and_its_network_reaches_verified_int8_files(name: str, faces: Path, tmp_path: Path):
    overrides = overrides_of(name)
    recipe = load_single(name, overrides)
    family, dataset = recipe.backbone.family, rows_of(recipe, faces)
    if family in STAND_IN:
        overrides = (*overrides, f"backbone.weights={write_stand_in(recipe, dataset, tmp_path)}")
        recipe = load_single(name, overrides)
    with stepwise(family in STAND_IN):
        trained = train(recipe, dataset, tmp_path / "run", overrides=overrides)
    check_record(name, trained)
    check_files(trained.path, dataset, tmp_path)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_its_members_train_and_vote(name: str, faces: Path, tmp_path: Path):
    # A smaller vote is converted in test_ensemble_cli; this one would take minutes.
    shipped = load_recipe(name)
    asked = read_ensemble(name, (f"members=[{', '.join(small_members(shipped, faces, tmp_path))}]",))
    with stepwise():
        trained = train_members(asked, str(faces), tmp_path / "run", False, Hooks())
    record = trained.record
    assert record.request.recipe.data == shipped.data
    assert [member.recipe for member in record.members] == [one.recipe for one in shipped.members]
    for member, one in zip(record.members, shipped.members, strict=True):
        assert member.overrides[: len(one.set)] == one.set
    assert load_backbone(trained.path).labels == trained.backbone.labels


def small_members(shipped: EnsembleRecipe, faces: Path, folder: Path) -> Iterator[str]:
    """The members as TOML, with their family's overrides behind their own settings."""
    for number, member in enumerate(shipped.members):
        overrides = (*member.set, *overrides_of(member.recipe))
        recipe = msgspec.structs.replace(load_single(member.recipe, overrides), data=shipped.data)
        if recipe.backbone.family in STAND_IN:
            place = folder / str(number)
            place.mkdir()
            weights = write_stand_in(recipe, rows_of(recipe, faces), place)
            overrides = (*overrides, f"backbone.weights={weights}")
        yield f"{{recipe='{member.recipe}', set={json.dumps(overrides)}}}"


def check_record(name: str, trained: Trained) -> None:
    """The recipe's own data was read, all of it, and the record says what the weights were."""
    own, record = load_single(name), trained.record
    recipe, used = record.request.recipe, record.request.data
    assert recipe.data == own.data
    if own.data.sets:
        assert used.sets == (*own.data.sets, *(one for one in own.data.optional if one != "affectnet"))
        assert used.absent == tuple(one for one in own.data.optional if one == "affectnet")
    assert (used.labels, min(used.rows.values()) > 0) == (own.data.labels, True)
    assert recipe.augmentation == own.augmentation
    frozen = recipe.backbone.frozen
    kept = f" ({frozen} layers frozen)" if frozen else ""
    expected = f"{recipe.backbone.weights} weights{kept}"
    assert (
        record.weights == expected
        if recipe.backbone.weights != "none"
        else "random weights" in record.weights
    )
    assert record.epochs == recipe.training.epochs
    assert record.test is not None


def check_files(model: Path, dataset: Dataset, folder: Path) -> None:
    """What stands on disk is opened, converted and proven as ``edgefer convert`` does it."""
    formats = choose_formats("tflite-int8,onnx-int8")
    options = Options(calibration=CALIBRATION)
    outcomes = convert(
        load_backbone(model), formats, dataset, dataset, folder / "files", options, lambda *_: None
    )
    for outcome in outcomes:
        assert outcome.good, outcome.error
        assert outcome.verification is not None
        assert outcome.verification.status == "passed"
