"""``edgefer bench --target coreml`` on what takes itself for a Mac: on the machine itself, and by a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from artifact_samples import make_package
from mac import PAUSE_SECONDS, mac

from edgefer.bench.record import load_record

MIN_TIME = "1.5"
"""Seconds: rounds of a tenth each, enough of them for an interval; without one, nothing is called faster."""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return mac(tmp_path_factory.mktemp("mac"))


def bench(python, package, out, *words, environment):
    start = (python, "-m", "edgefer", "bench", package.path, "--target", "coreml", "--out", out)
    command = [str(word) for word in (*start, "--min-time", MIN_TIME, *words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return load_record(next(out.rglob("tiny.coreml-fp32.coreml.json"))), done.stderr + done.stdout


def check(record, batches, said):
    """Every choice of units was timed and has its cold start and its compute plan; the faster CPU is said."""
    assert (record.kind, record.executed_on) == ("measured", "Core ML (macOS 15.1, ALL)")
    assert [(each.name, each.executed_on) for each in record.variants] == [
        ("cpu+ne", "Core ML (macOS 15.1, CPU_AND_NE)"),
        ("cpu+gpu", "Core ML (macOS 15.1, CPU_AND_GPU)"),
        ("cpu", "Core ML (macOS 15.1, CPU_ONLY)"),
    ]
    for each in (record, *record.variants):
        assert [timing.batch for timing in each.timings] == batches
        assert each.cold_start.load_ns > 0
        assert each.cold_start.first_ns > 0
        (operation,) = each.details["compute_plan"]["operations"]
        assert (operation["operator"], operation["on"]) == ("softmax", "Neural Engine")
    assert record.timings[0].latency_ns() >= PAUSE_SECONDS * 1e9
    assert record.environment["cpu"]
    faster = [note for note in record.notes if "the CPU alone is faster than with the Neural Engine" in note]
    assert len(faster) == len(batches)
    assert faster[0] in said


def test_a_mac_by_ssh_brings_every_choice_of_units_back(sshd, python, faces, tmp_path):
    words = (
        "--host",
        "device",
        "--remote-python",
        python,
        "--batch",
        "8",
        "--data",
        faces,
        "--labels",
        "folder",
    )
    package = make_package(tmp_path)
    record, said = bench(sys.executable, package, tmp_path / "runs", *words, environment=sshd.environment)
    check(record, [8], said)
    assert record.accuracy.full.accuracy == 1.0
    assert sshd.left() == []


def test_a_mac_itself_times_arrays_at_the_sizes_that_they_list(python, tmp_path):
    around = {key: value for key, value in os.environ.items() if key != "EDGEFER_DATA"}
    package = make_package(tmp_path, batches=(1, 3))
    record, said = bench(python, package, tmp_path / "runs", "--batch", "3,8", environment=around)
    check(record, [3], said)
    assert "batch 8 not run: the file is fixed to batch 1, 3" in said
