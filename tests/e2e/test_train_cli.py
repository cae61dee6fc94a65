"""``edgefer train`` from the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

SMALL = (
    "--data=synthetic",
    "--epochs=2",
    "--set=backbone={family='s1-cnn', options={filters=4}}",
    "--set=input={height=32, width=32, channels=3, color='gray', range=[-1.0, 1.0]}",
    "--set=training.batch_size=256",
    "--set=augmentation.preset=weak",
)


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "EDGEFER_DATA"}
    command = [sys.executable, "-m", "edgefer", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def edgefer(*arguments: str) -> tuple[int, str, str]:
    process = started(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists() and process.poll() is None:
        time.sleep(0.05)


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = started("train", "s0-mobilenetv2", *SMALL, f"--out={out}")
    wait_for(out / "state.json", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 2, err
    assert "go on with: edgefer train s0-mobilenetv2 --data synthetic" in err
    assert "Traceback" not in err

    code, _, err = edgefer("train", "s0-mobilenetv2", *SMALL, f"--out={out}")
    assert (code, "add --resume" in err) == (2, True)

    code, printed, err = edgefer("train", "s0-mobilenetv2", *SMALL, f"--out={out}", "--resume")
    assert code == 0, err
    assert "the data is synthetic" in err
    for words in (
        "test (synthetic)",
        "no leaked rows",
        "weighted F1",
        "from    random weights",
        str(out / "model.keras"),
    ):
        assert words in printed.replace("\n", "")
    assert [row["number"] for row in history(out)] == ["1", "2"]
    record = json.loads((out / "train.json").read_text())
    assert record["request"]["data"]["synthetic"] is True
    assert record["request"]["overrides"][-1] == "training.epochs=2"


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_metrics_of_an_unbroken_one(
    tmp_path: Path,
) -> None:
    many_steps = (
        *SMALL,
        "--epochs=3",
        "--set=training.batch_size=16",
        "--set=training.schedule={kind='cosine'}",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    code, _, err = edgefer("train", "s0-mobilenetv2", *many_steps, f"--out={whole}")
    assert code == 0, err

    process = started("train", "s0-mobilenetv2", *many_steps, f"--out={broken}")
    wait_for(broken / "state.json", process)
    time.sleep(0.3)  # an epoch has 112 steps and takes longer
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 1 <= len(json.loads((broken / "state.json").read_text())["history"]) < 3

    code, _, err = edgefer("train", "s0-mobilenetv2", *many_steps, f"--out={broken}", "--resume")
    assert code == 0, err
    for one, two in zip(history(broken), history(whole), strict=True):
        for name in one.keys() - {"seconds"}:
            # Threads add floats up in an order of their own, and a row on the border may fall to either side.
            assert float(one[name]) == pytest.approx(float(two[name]), rel=1e-3, abs=6e-3), (name, one, two)
    records = [json.loads((out / "train.json").read_text()) for out in (broken, whole)]
    for name in ("best_epoch", "request", "parameters"):
        assert records[0][name] == records[1][name]
    for name in ("accuracy", "weighted_f1", "macro_f1"):
        assert records[0]["test"][name] == pytest.approx(records[1]["test"][name], abs=6e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s0-mobilnetv2"], "unknown recipe 's0-mobilnetv2'; did you mean 's0-mobilenetv2'?"),
        (
            ["s0-mobilenetv2", "--set", "training.epoch=3"],
            "unknown key 'training.epoch'; did you mean 'epochs'?",
        ),
        (["s0-mobilenetv2", "--data", "/no/such/folder"], "/no/such/folder"),
        (["s0-mobilenetv2"], "no data is given"),
        (["s0-mobilenetv2", "--data=synthetic", "--resume"], "holds no run: nothing to resume"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, printed, err = edgefer("train", *arguments, f"--out={out}")
    assert (code, printed) == (2, "")
    assert message in err
    assert [line for line in err.splitlines() if line.startswith("edgefer: error:")]
    assert not out.exists()


OWN = """\
id = "own"
title = "A user's own"

[source]
document = "none"

[data]
labels = "ferplus-9"

[input]
height = 32
width = 32
channels = 1
range = [0.0, 1.0]

[backbone]
family = "s1-cnn"

[backbone.options]
filters = 4

[training]
epochs = 1
batch_size = 256
learning_rate = 1e-3
"""


@pytest.mark.parametrize(
    ("line", "nonsense", "message"),
    [
        ("epochs = 1", "epoch = 1", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ('family = "s1-cnn"', 'family = "s1-cn"', "unknown backbone family 's1-cn'; did you mean 's1-cnn'?"),
        ("filters = 4", "filter = 4", "unknown key 'backbone.options.filter'; did you mean 'filters'?"),
        ("filters = 4", 'filters = "many"', "backbone.options.filters: Expected `int`, got `str`"),
        ('family = "s1-cnn"', 'frozen = 99\nfamily = "s1-cnn"', "frozen = 99: s1_cnn has "),
        (
            'labels = "ferplus-9"',
            'labels = "fer2013-77"',
            "offers no label set 'fer2013-77'; choose one of: ferplus-9",
        ),
    ],
)
def test_a_nonsense_recipe_names_the_line_before_anything_is_written(
    line: str,
    nonsense: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edgefer.cli.main import main

    recipe, out = tmp_path / "own.toml", tmp_path / "run"
    recipe.write_text(OWN.replace(line, nonsense))
    wrong = nonsense.splitlines()[0]
    number = recipe.read_text().splitlines().index(wrong) + 1
    monkeypatch.setattr(sys, "argv", ["edgefer", "train", str(recipe), "--data=synthetic", f"--out={out}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    [said] = [text for text in capsys.readouterr().err.splitlines() if text.startswith("edgefer: error:")]
    assert f"own.toml, line {number}: " in said
    assert message in said
    assert not out.exists()


@pytest.mark.skipif(
    find_spec("jax") is None, reason="jax is not installed: the other backend cannot be tried"
)
def test_the_same_recipe_trains_under_jax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    everything = (
        "--set=training.ema=0.9",
        "--set=training.class_weights=inverse",
        "--set=training.oversample=0.5",
        "--set=training.precision=mixed-bfloat16",
    )
    out = tmp_path / "run"
    code, _, err = edgefer("train", "s0-mobilenetv2", *SMALL, *everything, f"--out={out}")
    assert code == 0, err
    assert json.loads((out / "train.json").read_text())["backend"] == "jax"
    assert float(history(out)[1]["loss"]) < float(history(out)[0]["loss"])
