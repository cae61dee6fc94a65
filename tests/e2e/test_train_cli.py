"""``edgefer train`` from the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
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
    with (out / "history.csv").open() as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["1", "2"]
    record = json.loads((out / "train.json").read_text())
    assert record["request"]["data"]["synthetic"] is True
    assert record["request"]["overrides"][-1] == "training.epochs=2"


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
