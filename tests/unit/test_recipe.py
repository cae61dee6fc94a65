from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgefer.errors import InputError
from edgefer.recipe import PRESETS, Augmentation, Constant, Cosine, Plateau
from edgefer.recipe_loading import load_recipe, recipe_ids


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's copy of a shipped recipe."""
    from importlib.resources import files

    path = tmp_path / "own.toml"
    path.write_text((files("edgefer") / "recipes" / "s0-mobilenetv2.toml").read_text())
    return path


def edit(path: Path, old: str, new: str) -> str:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return str(path)


def test_the_seed_recipe_is_the_documents_protocol():
    recipe = load_recipe("s0-mobilenetv2")
    assert recipe.source.reported == {"weighted_f1": 0.5853}
    assert (recipe.training.epochs, recipe.training.batch_size) == (50, 512)
    assert (recipe.training.optimizer, recipe.training.learning_rate) == ("adam", 1e-3)
    assert (recipe.input.height, recipe.input.channels, recipe.input.range) == (48, 3, (-1.0, 1.0))
    assert recipe.training.schedule == Constant()
    assert recipe.augmentation == Augmentation()
    assert recipe.backbone.weights == "imagenet"


@pytest.mark.parametrize("name", recipe_ids())
def test_every_shipped_recipe_loads_and_is_named_like_its_file(name: str):
    assert load_recipe(name).id == name


def test_a_mistyped_id_is_answered_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 's0-mobilenetv2'"):
        load_recipe("s0-mobilnetv2")


def test_a_missing_file_names_the_shipped_recipes(tmp_path: Path):
    with pytest.raises(InputError, match=r"no such recipe file; shipped: .*s0-mobilenetv2"):
        load_recipe(str(tmp_path / "none.toml"))


def test_a_users_own_file_works(own: Path):
    assert load_recipe(str(own)) == load_recipe("s0-mobilenetv2")


def test_an_unknown_key_names_file_line_and_suggestion(own: Path):
    name = edit(own, "batch_size = 512", "batchsize = 512")
    line = own.read_text().splitlines().index("batchsize = 512") + 1
    with pytest.raises(InputError) as caught:
        load_recipe(name)
    assert f"own.toml, line {line}: unknown key 'training.batchsize'" in str(caught.value)
    assert "did you mean 'batch_size'?" in str(caught.value)


def test_an_unknown_key_in_a_schedule_is_found(own: Path):
    name = edit(own, 'kind = "constant"', 'kind = "plateau"\npatienec = 3')
    with pytest.raises(
        InputError, match=r"unknown key 'training.schedule.patienec'; did you mean 'patience'"
    ):
        load_recipe(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 50", "epochs = 0", "epochs must be at least 1"),
        ("epochs = 50", 'epochs = "many"', "training.epochs: Expected `int`, got `str`"),
        ('optimizer = "adam"', 'optimizer = "adamm"', "training.optimizer: Invalid enum value 'adamm'"),
        ("range = [-1.0, 1.0]", "range = [1.0, -1.0]", "range must ascend"),
        ('labels = "ferplus-9"', "", "missing required field `labels`"),
        ('preset = "none"', 'preset = "stron"', "did you mean 'strong'"),
        ('preset = "none"', "rotation = 200", "rotation must be in 0..180"),
        ("[data]", "[data", "not valid TOML"),
    ],
)
def test_a_bad_value_is_named(own: Path, old: str, new: str, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        load_recipe(edit(own, old, new))


def test_presets_can_be_refined(own: Path):
    recipe = load_recipe(edit(own, 'preset = "none"', 'preset = "strong"\nrotation = 10'))
    assert recipe.augmentation.rotation == 10
    assert recipe.augmentation.shear == PRESETS["strong"].shear


def test_the_strong_preset_contains_the_weak_one():
    weak, strong = PRESETS["weak"], PRESETS["strong"]
    for name in ("flip", "brightness", "contrast", "downscale"):
        assert getattr(weak, name) == getattr(strong, name) != getattr(PRESETS["none"], name)
    assert strong.rotation == 30


def test_settings_override_the_file():
    settings = [
        "training.epochs=3",
        "training.optimizer=sgd-nesterov",
        "augmentation.preset=weak",
        "seed = 11",
    ]
    recipe = load_recipe("s0-mobilenetv2", settings)
    assert (recipe.training.epochs, recipe.training.optimizer, recipe.seed) == (3, "sgd-nesterov", 11)
    assert recipe.augmentation == PRESETS["weak"]


@pytest.mark.parametrize(
    ("setting", "schedule"),
    [
        ("{kind='plateau', patience=4}", Plateau(patience=4)),
        ("{kind='cosine', warmup=2}", Cosine(warmup=2)),
        ("{kind='constant'}", Constant()),
    ],
)
def test_schedules(setting: str, schedule: object):
    assert load_recipe("s0-mobilenetv2", [f"training.schedule={setting}"]).training.schedule == schedule


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "cannot read the setting"),
        ("training.epochs=", "cannot read the value"),
        ("training.epoch=3", "did you mean 'epochs'"),
        ("id.x=3", "is a value, not a table"),
        ("training.weight_decay=0.1", "weight_decay needs optimizer = 'adamw'"),
    ],
)
def test_bad_settings_are_refused(setting: str, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        load_recipe("s0-mobilenetv2", [setting])
