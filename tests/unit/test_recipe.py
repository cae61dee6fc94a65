from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from edgefer.errors import InputError, SettingError
from edgefer.recipe import PRESETS, Augmentation, Constant, Cosine, EnsembleRecipe, Member, Plateau
from edgefer.recipe_loading import apply_settings, load_recipe, load_single, naming_lines, recipe_ids


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


def test_a_mark_at_the_files_beginning_is_passed_over(own: Path):
    own.write_bytes(b"\xef\xbb\xbf" + own.read_bytes())
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
        ('labels = "ferplus-9"', "", "data.labels is missing"),
        ('preset = "none"', 'preset = "stron"', "did you mean 'strong'"),
        ('preset = "none"', "rotation = 200", "rotation must be in 0..180"),
        ("seed = 7", "seed = -1", "seed: seed must be in 0..4294967295"),
        ("[data]", "[data", "not valid TOML"),
    ],
)
def test_a_bad_value_is_named(own: Path, old: str, new: str, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        load_recipe(edit(own, old, new))


@pytest.mark.parametrize("distillation", ["{ share = 0.9 }", "{ teachers = [] }"])
def test_a_recipe_that_is_taught_names_a_teacher(own: Path, distillation: str):
    name = edit(own, "epochs = 50", f"epochs = 50\ndistillation = {distillation}")
    line = own.read_text().splitlines().index(f"distillation = {distillation}") + 1
    said = f"own.toml, line {line}: training.distillation.teachers: .* must name at least one model file"
    with pytest.raises(InputError, match=said):
        load_recipe(name)


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


@pytest.mark.parametrize("preset", ["none", "weak"])
def test_a_preset_of_the_command_line_replaces_the_files_own_amounts(preset: str):
    recipe = load_recipe("s0-mobilenetv2-48", [f"augmentation.preset={preset}"])
    assert recipe.augmentation == PRESETS[preset]


@pytest.mark.parametrize("step", [1, -1])
def test_amounts_of_the_command_line_refine_its_preset_on_either_side_of_it(step: int):
    settings = ["augmentation.preset=none", "augmentation.rotation=3"][::step]
    assert load_recipe("s0-mobilenetv2-48", settings).augmentation == Augmentation(rotation=3)


def test_an_amount_of_the_command_line_alone_leaves_the_files_others():
    plain, changed = (load_recipe("s0-mobilenetv2-48", s) for s in ([], ["augmentation.rotation=3"]))
    assert changed.augmentation == msgspec.structs.replace(plain.augmentation, rotation=3)


def test_a_preset_in_a_stages_tuning_replaces_its_own_amounts():
    tables = {"distill": {"tuning": {"augmentation": {"preset": "weak", "hue": 0.1}, "training": {}}}}
    apply_settings(tables, ["distill.tuning.augmentation.preset=none"])
    assert tables == {"distill": {"tuning": {"augmentation": {"preset": "none"}, "training": {}}}}


def test_a_preset_for_what_is_no_table_is_refused(own: Path):
    own.write_text(f"augmentation = 3\n{own.read_text().partition('[augmentation]')[0]}")
    with pytest.raises(InputError, match="augmentation is a value, not a table"):
        load_recipe(str(own), ["augmentation.preset=none"])


@pytest.mark.parametrize("path", ["/some folder/w.h5", "./w.h5", "../w.h5", "~/w-1.h5", "weights/w.h5"])
def test_a_path_needs_no_quotes(path: str):
    assert load_recipe("s1-resnet50", [f"backbone.weights={path}"]).backbone.weights == path


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
        ("training.schedule={kind='plateau', minimum=-1}", "training.schedule.minimum: minimum must not"),
        (
            "training.schedule={kind='plateau', minimum=0.002}",
            "training.schedule.minimum: schedule.minimum must be at most the learning_rate",
        ),
        ("training.weight_decay=0.1", "weight_decay needs optimizer = 'adamw', 'sgd' or 'sgd-nesterov'"),
    ],
)
def test_bad_settings_are_refused(setting: str, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        load_recipe("s0-mobilenetv2", [setting])


def place_of(name: str, key: str, settings: Sequence[str] = ()) -> str:
    """Where an error about ``key`` is said to stand."""
    with pytest.raises(InputError) as caught, naming_lines(name, settings):
        raise SettingError("it does not fit", key=key, hint="change it")
    place, _, message = str(caught.value).partition(": ")
    assert message == "it does not fit; change it"
    return place


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("backbone.weights", 'weights = "imagenet"'),
        ("backbone.options.dropout", "dropout = 0.2"),
        ("backbone.frozen", "[backbone]"),
        ("backbone.options.unheard.of", "[backbone.options]"),
        ("source.reported.weighted_f1", "reported = "),
        ("seed", "seed = 7"),
        ("backbone", "[backbone]"),
    ],
)
def test_a_later_error_about_a_setting_names_its_line_or_that_of_the_nearest_table(
    own: Path, key: str, line: str
):
    [number] = [n for n, text in enumerate(own.read_text().splitlines(), 1) if text.startswith(line)]
    assert place_of(str(own), key) == f"own.toml, line {number}"


def test_a_setting_that_the_file_does_not_make_names_the_file(own: Path):
    assert place_of(str(own), "evaluation.tta") == "own.toml"


@pytest.mark.parametrize("setting", ["backbone.frozen=9", "backbone={family='tiny', frozen=9}"])
def test_a_setting_of_the_command_line_has_no_line_and_is_named(setting: str):
    assert place_of("s0-mobilenetv2", "backbone.frozen", ["seed=1", setting]) == f"setting {setting!r}"
    assert place_of("s0-mobilenetv2", "data.labels", [setting]).startswith("s0-mobilenetv2.toml, line ")


def test_a_value_that_the_recipes_own_checks_refuse_names_its_line(own: Path):
    name = edit(own, "epochs = 50", "epochs = 0")
    line = own.read_text().splitlines().index("epochs = 0") + 1
    with pytest.raises(InputError, match=rf"own\.toml, line {line}: training\.epochs: epochs must be"):
        load_recipe(name)


ENSEMBLE = """\
id = "both"
title = "Two of a kind"

[source]
document = "none"

[data]
labels = "fer2013-7"

[input]
height = 48
width = 48
channels = 1
range = [0.0, 1.0]

[[members]]
recipe = "s1-baseline"

[[members]]
recipe = "s1-baseline"
set = ["seed=8"]
"""


@pytest.fixture
def ensemble(tmp_path: Path) -> Path:
    path = tmp_path / "both.toml"
    path.write_text(ENSEMBLE)
    return path


def test_a_file_with_members_is_an_ensemble(ensemble: Path):
    recipe = load_recipe(str(ensemble))
    assert isinstance(recipe, EnsembleRecipe)
    assert recipe.members[1] == Member(recipe="s1-baseline", set=("seed=8",))
    with pytest.raises(InputError, match="both is an ensemble, not one network; its members: s1-baseline"):
        load_single(str(ensemble))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            'recipe = "s1-baseline"\nset',
            'recipes = "s1-baseline"\nset',
            20,
            "unknown key 'members[1].recipes'",
        ),
        ('recipe = "s1-baseline"\nset', "recipe = 3\nset", 20, "members[1].recipe: Expected `str`"),
        ("[input]", "[training]\nepochs = 3\n\n[input]", 10, "unknown key 'training'"),
    ],
)
def test_mistakes_in_an_ensemble_are_named(ensemble: Path, old: str, new: str, line: int, message: str):
    with pytest.raises(InputError, match=re.escape(f"both.toml, line {line}: {message}")):
        load_recipe(edit(ensemble, old, new))


def test_an_ensemble_needs_two_members(ensemble: Path):
    text = ensemble.read_text()
    ensemble.write_text(text[: text.rindex("[[members]]")])
    with pytest.raises(InputError, match="at least two members"):
        load_recipe(str(ensemble))


def test_a_check_on_a_table_inside_a_table_names_the_line_there(own: Path):
    name = edit(own, 'kind = "constant"', 'kind = "plateau"\nminimum = 0.1\n')
    line = own.read_text().splitlines().index("minimum = 0.1") + 1
    with pytest.raises(InputError, match=rf"own\.toml, line {line}: training\.schedule\.minimum: "):
        load_recipe(name)


def test_a_check_about_several_settings_names_their_table(own: Path):
    name = edit(own, 'labels = "ferplus-9"', 'labels = "ferplus-9"\nsets = ["a"]\noptional = ["a"]')
    line = own.read_text().splitlines().index("[data]") + 1
    with pytest.raises(
        InputError, match=rf"own\.toml, line {line}: data: sets and optional name a set twice"
    ):
        load_recipe(name)
