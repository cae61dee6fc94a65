"""What is said where an optional part of edgefer is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgefer.extras import extra_of_module

BLOCKED = """
import sys
sys.modules[sys.argv.pop(1)] = None
from edgefer.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("sklearn.metrics", "metrics"),
        ("scipy", "metrics"),
        ("tensorflow.python", "train"),
        ("ai_edge_litert", "tflite"),
        ("tf_keras", "convert"),
        ("edgefer.nowhere", None),
        ("msgspec", None),
    ],
)
def test_the_smallest_extra_that_brings_a_module(module: str, extra: str | None):
    assert extra_of_module(module) == extra


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("keras", "train", ("train", "demo", "--data", "synthetic", "--out", "run")),
        ("pandas", "data", ("data", "inspect", "--data", ".")),
    ],
)
def test_a_missing_part_is_one_line_that_says_how_to_get_it(
    module: str, extra: str, words: tuple[str, ...], tmp_path
):
    (tmp_path / "icml_face_data.csv").write_text("emotion, Usage, pixels\n0,Training,1 2\n")
    command = [sys.executable, "-c", BLOCKED, module, *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 2
    told = f"edgefer: error: {module} is not installed; run: pip install 'edgefer[{extra}]'"
    assert ran.stderr.splitlines()[-1] == told
