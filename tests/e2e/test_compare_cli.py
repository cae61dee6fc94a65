"""Two files benched in one call and held against each other, with the real runtime; how fast they are is left open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgefer.zoo import models
from tests.e2e.conftest import edgefer

SHIPPED = models()["student-micro"] / "student-micro-int8.tflite"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of the shipped student and its copy, of one run; beside them one of another run on two threads."""
    folder = tmp_path_factory.mktemp("runs")
    files = [folder / f"{name}.tflite" for name in ("one", "two")]
    for file in files:
        shutil.copy(SHIPPED, file)
    quick = ("--batch", "1", "--min-time", "1", "--threads")
    for ran in (
        edgefer("bench", *files, *quick, 1, "--out", folder),
        edgefer("bench", files[0], *quick, 2, "--out", folder / "threads"),
    ):
        assert ran.code == 0, ran.err
    return folder


def test_a_bench_leaves_receipts_and_scenarios(runs, tmp_path):
    ran = edgefer(
        "bench", runs / "one.tflite", "--batch", "1,8", "--min-time", "0.1", "--out", tmp_path, "--json"
    )
    (found,) = ran.json
    assert [each["name"] for each in found["scenarios"]] == ["SingleStream", "MultiStream", "Offline"]
    assert found["warm_start_ms"] > 0
    for timing in found["latency"]:
        low, high = timing["median_interval_ms"]
        assert low <= timing["median_ms"] <= high


def test_one_run_is_compared_by_rounds(runs):
    one, two = (runs / f"{name}.tflite-int8.cpu.json" for name in ("one", "two"))
    ran = edgefer("compare", one, two, "--invalid", "--json")
    assert ran.code == 0, ran.err
    (batch,) = ran.json["compared"]
    # A machine that is busy enough has too few rounds for an interval.
    assert batch["low"] is None or batch["low"] <= batch["ratio"] <= batch["high"]
    assert "rounds of 1 run" in batch["basis"]


def test_other_threads_are_refused_by_name_unless_across(runs):
    one, other = runs / "one.tflite-int8.cpu.json", runs / "threads"
    refused = edgefer("compare", one, other, "--invalid")
    assert refused.code == 2
    assert "threads (1 and 2)" in refused.error_line
    told = edgefer("compare", one, other, "--invalid", "--across")
    assert told.code == 0
    assert "different runs (1 of A, 1 of B)" in told.out


def test_what_is_no_pattern(runs):
    ran = edgefer("compare", runs / "**.json", runs / "one.tflite-int8.cpu.json")
    assert ran.code == 2
    assert "**.json: " in ran.error_line
