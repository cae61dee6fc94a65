"""The gate between a float network and its files, in processes of their own."""

from __future__ import annotations

from tests.e2e.conftest import edgefer


def test_files_stand_at_the_gate_of_their_float_network(model, artifacts, tmp_path):
    out = tmp_path / "gate.json"
    options = ("--against", model, "--data", "synthetic", "--labels", "ferplus-9")
    same = edgefer("gate", artifacts["tflite-fp32"], *options, "--max-drop", "1", "--out", out, "--json")
    assert same.code == 0, same.err
    found = same.json
    assert (found["gate"], found["baseline"]["format"]) == ("pass", "keras")
    assert found["rows"]["synthetic"]
    assert found["baseline"]["executed_on"].startswith("keras ")
    assert found["artifact"]["score"]["rows_sha256"] == found["baseline"]["score"]["rows_sha256"]
    assert out.exists()
    strict = edgefer("gate", artifacts["onnx-int8"], *options, "--max-drop", "0", "--rows", "40")
    assert strict.code == 3
    assert strict.out.startswith(("UNDERPOWERED\n", "FAIL\n"))


def test_a_missing_file_is_one_line_and_exit_2(model):
    ran = edgefer("gate", model.with_name("none.tflite"), "--against", model, "--data", "synthetic")
    assert ran.code == 2
    assert "no such file" in ran.error_line
