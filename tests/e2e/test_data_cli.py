"""``edgefer data`` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


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
