from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from PIL import Image

from edgefer.cli.report import command
from tests.report_samples import record, records, save

FILES = ["report.csv", "report.html", "report.md"]


def run_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgefer", *arguments], capture_output=True, text=True, check=False
    )


def test_a_folder_of_records_becomes_three_files_and_a_table(tmp_path):
    save(tmp_path / "runs", records())
    result = CliRunner().invoke(command, [str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["plots", *FILES]
    plots = sorted((tmp_path / "out" / "plots").iterdir())
    assert [path.suffix for path in plots] == [".png", ".svg"] * 7
    for png, svg in zip(plots[::2], plots[1::2], strict=True):
        assert png.stem == svg.stem
        with Image.open(png) as image:
            assert min(image.size) > 100
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert "7 of 8 artifacts keep" in result.output
    assert "raspberry-pi-5" in result.output


def test_json_gives_the_files_and_the_verdict(tmp_path):
    save(tmp_path / "runs", [record("tflite-fp32"), record("tflite-dynamic")])
    result = CliRunner().invoke(command, [str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--json"])
    answer = json.loads(result.stdout)
    pages = [str(tmp_path / "out" / name) for name in ("report.md", "report.csv", "report.html")]
    assert answer["files"][:3] == pages
    assert all(Path(file).exists() for file in answer["files"])
    assert answer["verdicts"][0]["picks"][0]["label"] == "tflite-dynamic"


@pytest.mark.parametrize("given", ["missing.json", "other.json", "empty", "none"])
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(tmp_path, given):
    (tmp_path / "other.json").write_text('{"schema": 1}')
    (tmp_path / "empty").mkdir()
    runs = [] if given == "none" else [str(tmp_path / given)]
    done = run_process("report", *runs, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("edgefer: error: ")
    assert not (tmp_path / "out").exists()
