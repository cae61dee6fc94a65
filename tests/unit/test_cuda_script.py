"""``benchmarks/cuda/run.sh`` where something is missing: early, in one line, with the command's exit codes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from benchmarks.costs import ROOT

SCRIPT = ROOT / "benchmarks" / "cuda" / "run.sh"


def run(*arguments):
    return subprocess.run(["sh", SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say where the artifacts are"),
        (("nowhere",), "nowhere: no such folder"),
        ((str(ROOT),), "edgefer convert"),
    ],
)
def test_it_says_what_it_was_not_given(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(
    shutil.which("nvidia-smi") is not None,
    reason="this machine has a card: the script would go on and measure on it",
)
def test_without_a_card_it_exits_as_the_target_does(tmp_path):
    (tmp_path / "net-fp32.onnx").touch()
    done = run(str(tmp_path), str(tmp_path / "out"))
    assert done.returncode == 4
    assert "nvidia-smi" in done.stderr
    assert not (tmp_path / "out").exists()
