"""``edgefer data`` from the command line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.dataset_samples import write_ck, write_fer2013


def edgefer(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "EDGEFER_DATA"} | variables
    command = [sys.executable, "-m", "edgefer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_inspect_prints_json() -> None:
    done = edgefer("data", "inspect", "--data", "synthetic", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["synthetic"] is True
    assert found["splits"]["test"]["rows"] == sum(found["splits"]["test"]["classes"].values()) == 450
    assert set(found["in_files"]) == {"rows", "duplicates", "leaked"}


def test_inspect_prints_tables_and_takes_the_variable() -> None:
    done = edgefer("data", "inspect", "--labels", "ferplus-8", EDGEFER_DATA="synthetic")
    assert done.returncode == 0, done.stderr
    for words in ("synthetic (synthetic), ferplus-8", "contempt", "dropped: unknown", "tied votes"):
        assert words in done.stdout


def test_inspect_says_which_files_are_no_pictures(tmp_path: Path) -> None:
    (write_ck(tmp_path) / "anger" / "0.gif").touch()
    done = edgefer("data", "inspect", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "beside the pictures, not read: 1 .gif" in done.stderr


def test_import_fills_the_cache_and_says_where(tmp_path: Path) -> None:
    arguments = ("data", "import", "--data", "synthetic", "--labels", "ferplus-9")
    first = edgefer(*arguments, EDGEFER_CACHE=str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert f"cache: {tmp_path}" in first.stdout
    assert "train 1,800, validation 360, test 450" in first.stdout
    again = json.loads(edgefer(*arguments, "--json", EDGEFER_CACHE=str(tmp_path)).stdout)
    assert again["was_cached"] is True
    assert Path(again["cache"], "entry.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no data is given; give --data PATH, set EDGEFER_DATA, or use --data synthetic"),
        (("--data", "nowhere"), "the data nowhere does not exist"),
        (("--data", "synthetic", "--labels", "ferplus9"), "did you mean 'ferplus-9'?"),
        (("--data", "synthetic", "--label", "x"), "No such option"),
    ],
)
def test_a_bad_input_is_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    done = edgefer("data", "inspect", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


RECIPE = """
id = "merged"
title = "Two sets"
[source]
document = "none"
[data]
labels = "basic-5-neutral"
sets = ["fer2013", "ck+"]
optional = ["jaffe"]
split = "grouped"
[input]
height = 48
width = 48
channels = 1
range = [0.0, 1.0]
[backbone]
family = "s1-cnn"
[training]
epochs = 1
batch_size = 8
learning_rate = 1e-3
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "merged.toml"
    file.write_text(RECIPE)
    return str(file)


@pytest.fixture
def two_sets(tmp_path: Path) -> str:
    write_fer2013(tmp_path / "data")
    write_ck(tmp_path / "data" / "CK+48")
    return str(tmp_path / "data")


def test_inspect_shows_what_a_recipe_would_train_on(recipe: str, two_sets: str) -> None:
    arguments = ("data", "inspect", "--data", two_sets, "--recipe", recipe)
    done = edgefer(*arguments)
    assert done.returncode == 0, done.stderr
    for words in ("FER2013 + CK+48, basic-5-neutral", "Usable rows by set", "dropped: contempt"):
        assert words in done.stdout
    assert "optional and not found: jaffe" in done.stderr
    found = json.loads(edgefer(*arguments, "--json").stdout)
    assert found["sets"] == ["fer2013", "ck+"]
    happy = sum(split["sets"]["ck+"]["happiness"] for split in found["splits"].values())
    assert happy == 18
    asked = json.loads(edgefer(*arguments, "--set", 'data.sets=["ck+"]', "--json").stdout)
    assert asked["sets"] == ["ck+"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "data.sets=['ck']"), "unknown set 'ck'; did you mean 'ck+'?"),
        (("--set", "data.sets=['affectnet']"), "holds no affectnet: looked for a folder whose name starts"),
        (("--labels", "basic-6"), "give either --labels or --recipe"),
        (("--set", "data.relabel=nowhere.csv"), "nowhere.csv: cannot be read"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data(
    recipe: str, two_sets: str, arguments: tuple[str, ...], message: str
) -> None:
    done = edgefer("data", "inspect", "--data", two_sets, "--recipe", recipe, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_clean_writes_what_a_recipe_can_apply(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "relabel.csv"
    arguments = ("data", "clean", str(model), "--data", "synthetic", "--threshold", "0.55", "--out", str(out))
    done = edgefer(*arguments)
    assert done.returncode == 0, done.stderr
    assert "doubtful training labels" in done.stdout
    assert f"written {out}" in done.stdout
    setting = shlex.split(done.stdout)[-1]
    said = json.loads(edgefer(*arguments, "--json").stdout)
    assert said["changed"] == sum(pair["rows"] for pair in said["pairs"]) > 0
    applied = edgefer(
        *("data", "inspect", "--data", "synthetic", "--recipe", "s0-mobilenetv2", "--json"),
        *("--set", setting),
    )
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["relabelled"] == said["changed"]


def test_clean_needs_the_models_own_classes(model: Path, recipe: str, two_sets: str) -> None:
    done = edgefer("data", "clean", str(model), "--data", two_sets, "--recipe", recipe)
    assert done.returncode == 2
    assert "its classes are neutral, happiness" in done.stderr
    assert "FER2013 + CK+48 has anger, fear" in done.stderr
