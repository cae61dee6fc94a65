"""An ensemble recipe and one with test-time augmentation, from the command line to verified files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefer.cli.main import cli
from tests.e2e.conftest import Ran, edgefer

PAIR = """
id = "pair"
title = "Two small networks of different sizes vote"
members = [
  { recipe = "demo", set = ["training.epochs=3", "backbone.options.filters=8"] },
  { recipe = "demo", set = ["training.epochs=3", "backbone.options.filters=4", "seed=1",
                            "input={height=32, width=32, channels=3, range=[-1.0, 1.0]}"] },
]
[source]
document = "none: made for a test"
[data]
labels = "ferplus-9"
[input]
height = 48
width = 48
channels = 1
range = [0.0, 255.0]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "pair.toml"
    path.write_text(PAIR)
    return path


@pytest.fixture(scope="module")
def trained(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    out = tmp_path_factory.mktemp("runs") / "pair"
    ran = edgefer("train", recipe, "--data", "synthetic", "--out", out)
    assert ran.code == 0, ran.err
    return out, ran


def test_members_and_vote_are_shown(trained: tuple[Path, Ran]):
    out, ran = trained
    for words in ("pair (synthetic)", "1-demo", "2-demo", "vote, no leaked rows", "McNemar p"):
        assert words in ran.out
    record = json.loads((out / "train.json").read_text())
    members = [member["test"]["accuracy"] for member in record["members"]]
    # A vote of two that learned something is hardly worse than the worse of them.
    assert record["test"]["accuracy"] > min(members) - 0.02 > 0.2


def test_the_vote_is_one_file_that_converts_and_verifies(trained: tuple[Path, Ran], tmp_path: Path):
    model = trained[0] / "model.keras"
    formats = "tflite-int8,onnx-int8"
    ran = edgefer("convert", model, "--to", formats, "--data", "synthetic", "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err + ran.out
    assert [one["verification"]["status"] for one in ran.json] == ["passed", "passed"]


def test_settings_about_training_are_every_members_and_a_finished_run_is_kept(
    recipe: Path, trained: tuple[Path, Ran], tmp_path: Path
):
    asked = ["train", str(recipe), "--data=synthetic", "--epochs=1", "--set=training.batch_size=256"]
    ran = CliRunner().invoke(cli, [*asked, f"--out={tmp_path / 'new'}", "--json"])
    assert ran.exit_code == 0, ran.output
    record = json.loads(ran.stdout)
    assert [member["epochs"] for member in record["members"]] == [1, 1]
    assert "training.batch_size=256" in record["members"][1]["overrides"]
    assert record["request"]["overrides"] == []
    again = CliRunner().invoke(cli, [*asked, f"--out={trained[0]}"])
    assert "is not empty" in str(again.exception)


def test_a_wrong_setting_of_the_ensemble_names_its_line(recipe: Path):
    broken = recipe.with_name("broken.toml")
    broken.write_text(PAIR.replace("[input]", "[inputs]"))
    ran = CliRunner().invoke(cli, ["train", str(broken), "--data=synthetic"])
    assert ran.exit_code != 0
    assert "broken.toml" in str(ran.exception)
    assert "inputs" in str(ran.exception)


def test_a_recipe_with_test_time_augmentation_shows_both_scores(tmp_path: Path):
    asked = ["train", "s1-tta", "--data=synthetic", "--epochs=4", "--set=data.labels=ferplus-9"]
    small = ["--set=training.batch_size=32", "--set=backbone.options.filters=8", f"--out={tmp_path / 'run'}"]
    ran = CliRunner().invoke(cli, [*asked, *small])
    assert ran.exit_code == 0, ran.output
    for words in ("s1-seven, no leaked rows", "against plain answers: McNemar p"):
        assert words in ran.stdout
    record = json.loads((tmp_path / "run" / "train.json").read_text())
    assert record["test_augmented"]["tta"] == "s1-seven"
    assert record["test_augmented"]["test"]["rows_sha256"] == record["test"]["rows_sha256"]
    assert record["test_augmented"]["test"] != record["test"]
