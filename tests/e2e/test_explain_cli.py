"""``edgefer explain`` on the small network's files."""

import pytest

from edgefer.zoo import models
from tests.e2e.conftest import edgefer

SHIPPED = models()["student-micro"] / "student-micro-int8.tflite"


@pytest.mark.parametrize("container", ["onnx", "tflite"])
def test_every_layer_of_an_int8_file_is_told_and_runs_in_integers(artifacts, tmp_path, container):
    kept = tmp_path / "why.json"
    int8, fp32 = artifacts[f"{container}-int8"], artifacts[f"{container}-fp32"]
    ran = edgefer(
        "explain", int8, "--against", fp32, "--min-time", "0.05", "--batch", 4, "--out", kept, "--json"
    )
    assert ran.code == 0, ran.err
    weighted = [layer for layer in ran.json["layers"] if layer["macs"]]
    assert {layer["numbers"] for layer in weighted} == {"int8"}
    # The contract counts the float backbone's three channels, of which the file's first layer keeps one.
    assert 0.5 < sum(layer["macs"] for layer in weighted) / ran.json["macs"] <= 1.01
    assert "float-inside" not in {finding["id"] for finding in ran.json["findings"]}
    assert ran.json["against"]["format"] == f"{container}-fp32"
    assert kept.exists()


def test_the_table_and_the_sentences(artifacts):
    ran = edgefer("explain", artifacts["onnx-int8"], "--min-time", "0.05", "--top", 2)
    assert ran.code == 0, ran.err
    assert "QLinearConv" in ran.out
    assert "of this machine's int8 peak" in ran.out.replace("\n", " ")


def test_what_cannot_be_explained_says_why(artifacts):
    core = edgefer("explain", artifacts["coreml-fp16"])
    assert core.code == 2
    assert "target cpu does not take coreml-fp16" in core.error_line
    mixed = edgefer("explain", artifacts["onnx-int8"], "--against", artifacts["tflite-fp32"])
    assert mixed.code == 2
    assert "two files of one container" in mixed.error_line
    other = edgefer("explain", artifacts["tflite-int8"], "--against", SHIPPED)
    assert other.code == 2
    assert "made of another network" in other.error_line
    card = edgefer("explain", artifacts["onnx-int8"], "--target", "cuda")
    assert card.code == 4
    assert "NVIDIA GPU" in card.error_line
