"""A bundle of real TFLite and ONNX files, made by the command, run as on a device."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgefer.bench.record import load_record
from tests.e2e.conftest import edgefer


@pytest.fixture(scope="module")
def bundle(artifacts, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "pi"
    ran = edgefer(
        "bundle", artifacts["tflite-int8"], artifacts["tflite-dynamic"], artifacts["onnx-int8"], "--out", out
    )
    assert ran.code == 0, ran.err
    return out


def run(bundle, *words):
    command = [sys.executable, bundle / "run_on_device.py", *words, "--json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("kernels", "named"),
    [("xnnpack", "XNNPACK"), ("builtin", "builtin kernels"), ("reference", "reference kernels")],
)
def test_every_model_proves_itself_on_every_kernel_set(bundle, kernels, named):
    rows = run(bundle, "--golden", "--kernels", kernels)
    assert [row["status"] for row in rows] == ["passed"] * 3
    assert all(named in row["executed_on"] for row in rows if row["artifact"].endswith(".tflite"))


def test_the_models_agree_on_their_own_images(bundle):
    rows = run(bundle, bundle / "golden")
    labels = {}
    for row in rows:
        labels.setdefault(row["image"], set()).add(row["label"])
    assert len(labels) == 16
    assert sum(len(each) == 1 for each in labels.values()) >= 13, (
        "int8 may turn a face or two that is near a decision"
    )


def test_the_kernels_asked_for_are_in_the_record(artifacts, tmp_path):
    words = ("--kernels", "reference", "--data", "synthetic", "--accuracy-only", "--out", tmp_path)
    ran = edgefer("bench", artifacts["tflite-int8"], *words)
    assert ran.code == 0, ran.err
    (file,) = tmp_path.glob("*.json")
    assert file.name.endswith(".cpu.reference.json")
    assert load_record(file).kernels == "reference kernels"


def test_core_ml_goes_on_no_pi(artifacts, tmp_path):
    ran = edgefer("bundle", artifacts["coreml-fp16"], "--out", tmp_path / "pi")
    assert ran.code == 2
    assert "target raspberry-pi-5 does not take coreml-fp16" in ran.error_line
    assert not (tmp_path / "pi").exists()
