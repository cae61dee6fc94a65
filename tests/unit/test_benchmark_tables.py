"""The README's tables, made from records that stand in for committed ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from benchmarks.conversion_cost import outcome
from benchmarks.costs import Cost, CostRecord, Outcome, run, write_json
from benchmarks.results import NOT_YET, ArtifactList, Made, costs, results
from edgefer.bench.environment import environment
from edgefer.recipe_loading import load_recipe
from edgefer.report.words import ABSENT
from edgefer.training.record import DataUsed, Request, TrainRecord
from tests.report_samples import FORMATS, accuracy, record, save

OVERRIDES = ("training.epochs=40",)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "s0-mobilenetv2"
    around = environment(2)
    for path in save(folder, [record(each, environment=around) for each in FORMATS]):
        path.rename(path.with_suffix(".cpu.json"))
    made = [
        Made(format=each, bytes=size, seconds=1.0, status="passed", file="f")
        for each, (size, *_) in FORMATS.items()
    ]
    made.append(
        Made(
            format="coreml-fp16",
            bytes=4_400_000,
            seconds=1.0,
            status="skipped",
            file="f",
            reason="needs macOS",
        )
    )
    write_json(folder / "artifacts.json", ArtifactList(schema=1, made="2025-03-01", artifacts=tuple(made)))
    return tmp_path


def train_record() -> TrainRecord:
    data = DataUsed(name="FER+", labels="ferplus-9", synthetic=False, rows={}, sha256={})
    return TrainRecord(
        schema=1,
        request=Request(recipe=load_recipe("s0-mobilenetv2", OVERRIDES), overrides=OVERRIDES, data=data),
        weights="random weights (no network)",
        epochs=40,
        best_epoch=33,
        parameters=2_269_513,
        validation=accuracy("tflite-fp32").full,
        test=None,
        test_clean=None,
        seconds=7200.0,
        backend="tensorflow",
        tools={},
    )


def test_without_records_nothing_is_claimed(tmp_path: Path):
    assert results("s0-mobilenetv2", tmp_path) == NOT_YET
    assert costs(tmp_path).count(NOT_YET) == 3


def test_every_format_has_a_row(records: Path):
    lines = results("s0-mobilenetv2", records).splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    assert {*FORMATS, "coreml-fp16"} <= set(rows)
    assert rows["tflite-int8"].count("|") == rows["artifact"].count("|") == rows["coreml-fp16"].count("|")
    assert "+3.58 (fails)" in rows["onnx-int8"]
    assert rows["coreml-fp16"].endswith("| skipped: needs macOS |")


def test_the_caption_says_what_the_numbers_rest_on(records: Path):
    write_json(records / "s0-mobilenetv2" / "train.json", train_record())
    text = results("s0-mobilenetv2", records)
    for words in (
        "Measured on target `cpu`",
        "2 threads",
        "2025-03-01",
        "3,572 test rows",
        "3,284 without leaked",
    ):
        assert words in text
    for words in (
        "`training.epochs=40`",
        "random weights (no network)",
        "epoch 33 of 40",
        "weighted_f1 0.5853",
    ):
        assert words in text
    assert "Timings marked unstable" in text


def test_costs_are_medians_with_their_spread_and_limit(tmp_path: Path):
    cost = Cost(
        what="X to tflite-int8",
        seconds=(3.0, 1.0, 2.0),
        limit_seconds=90.0,
        peak_bytes=1_500_000_000,
        limit_bytes=3_000_000_000,
        outcomes=(Outcome(format="a", status="passed"), Outcome(format="b", status="failed", reason="NaN")),
    )
    kept = CostRecord(
        schema=1, started="2025-03-01T12:00:00+00:00", environment=environment(2), costs=(cost,)
    )
    write_json(tmp_path / "conversion-cost.json", kept)
    row = (
        "| X to tflite-int8 | 3 | 2.00 | 1.00 to 3.00 | 90 | 1,500.0 | 3,000.0 | 1 passed, 1 failed; b: NaN |"
    )
    assert row in costs(tmp_path)


def test_an_outcome_keeps_the_reason_but_no_path():
    proof = {"artifact": "somewhere/x.tflite", "status": "passed", "reason": ""}
    good = outcome({"format": "tflite-int8", "error": None, "verification": proof})
    bad = outcome({"format": "onnx-int8", "error": "refused", "verification": None})
    assert msgspec.to_builtins((good, bad)) == (
        {"format": "tflite-int8", "status": "passed", "reason": ""},
        {"format": "onnx-int8", "status": "error", "reason": "refused"},
    )


def test_a_command_is_timed_and_its_memory_taken():
    # Linux carries a parent's peak memory over into its children, so a small process measures, as in the scripts.
    script = """
import sys
from benchmarks.costs import run
ran = run([sys.executable, "-c", "x = bytearray(100_000_000); print(len(x))"])
assert ran.output == "100000000\\n"
assert 0 < ran.seconds < 60
assert 100_000_000 < ran.peak_bytes < 1_000_000_000, ran.peak_bytes
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_failed_command_is_an_error():
    with pytest.raises(click.ClickException, match="exit 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])
    assert run([sys.executable, "-c", "raise SystemExit(3)"], (0, 3)).output == ""


def test_a_student_without_a_goal_has_its_row(tmp_path: Path):
    from benchmarks.compression.tables import STUDENTS, students

    shutil.copytree(STUDENTS / "student-nano", tmp_path / "student-new")
    [row] = [line for line in students(tmp_path).splitlines() if line.startswith("| student-new tflite-int8")]
    assert row.count(ABSENT) == 3


def test_every_network_is_in_the_plot_of_pruning(tmp_path: Path):
    from benchmarks.compression.channels import FOLDER
    from benchmarks.compression.pruned import channels_plot

    (one, *_) = (path for path in sorted(FOLDER.glob("*")) if path.is_dir())
    for name in ("first", "second", "third"):
        shutil.copytree(one, tmp_path / name)
    plot = channels_plot(tmp_path)
    assert all(name in plot for name in ("first", "second", "third"))
