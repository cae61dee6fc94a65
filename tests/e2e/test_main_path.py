"""The main job on a small network: every format converts, proves itself, is scored and says what it is."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edgefer.artifact import open_artifact
from tests.e2e.conftest import SIZE, edgefer

RUNNABLE = ("tflite", "onnx")


def test_one_command_makes_every_format_that_suits_any_network(artifacts):
    from edgefer.registry import discover

    formats = discover("edgefer.formats", "FORMATS").values()
    assert set(artifacts) == {form.id for form in formats if not form.special}
    assert all(path.exists() for path in artifacts.values())
    assert not [p for p in next(iter(artifacts.values())).parent.iterdir() if p.name.startswith(".")]


def test_every_file_proves_itself_without_tensorflow(artifacts):
    script = """
import sys
from edgefer.cli.main import cli
code = cli.main(sys.argv[1:], standalone_mode=False)
heavy = {"tensorflow", "keras", "tf_keras", "onnx", "coremltools"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    command = [sys.executable, "-c", script, "verify", "--json", *map(str, artifacts.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for outcome in json.loads(done.stdout):
        assert outcome["status"] == "passed", outcome


def test_files_take_raw_pixels_and_say_so(artifacts):
    from edgefer.artifact import open_artifact

    for form, path in artifacts.items():
        io = open_artifact(path).manifest.io
        assert io.mode == "raw"
        # 16x8 kernels cast from no uint8; raw pixels come as floats there.
        assert io.input.dtype == ("float32" if form == "tflite-int16x8" else "uint8")
        assert io.input.shape[1:] == (SIZE, SIZE, 1)


def test_the_scaling_went_into_the_first_layer(artifacts):
    from edgefer.artifact import open_artifact

    assert open_artifact(artifacts["tflite-fp32"]).manifest.lineage[-1].config["folded"] is True


def test_int8_is_full_integer_per_channel_and_builtin(artifacts):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(artifacts["tflite-int8"]))
    tensors = interpreter.get_tensor_details()
    assert not [t["name"] for t in tensors if t["dtype"] == np.float32]
    kernels = [t for t in tensors if len(t["shape"]) == 4 and len(t["quantization_parameters"]["scales"]) > 1]
    assert len(kernels) >= 4
    assert not [
        op["op_name"] for op in interpreter._get_ops_details() if op["op_name"].startswith(("Flex", "FLEX"))
    ]


def test_bench_scores_them_against_the_float_baseline(artifacts, tmp_path):
    chosen = [path for form, path in artifacts.items() if form.startswith(RUNNABLE)]
    ran = edgefer("bench", *chosen, "--data", "synthetic", "--accuracy-only", "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err
    for one in ran.json:
        drop = one["accuracy"]["f1_drop"]
        assert one["accuracy"]["synthetic"] is True
        if one["format"].endswith("fp32"):
            assert drop == pytest.approx(0, abs=1e-9), one["format"]
        # An untrained network stands nearer to its decisions than a trained one: 450 rows, a few flips.
        assert drop is not None
        assert abs(drop) < 6, one["format"]


def test_inspect_shows_a_model_and_an_artifact(model, artifacts):
    about_model = edgefer("inspect", model, "--json").json
    about_file = edgefer("inspect", artifacts["onnx-int8"], "--json").json
    assert about_model["cost"] == about_file["cost"]
    assert about_file["format"] == "onnx-int8"
    assert about_file["baseline"]["synthetic"] is True
    assert [step["name"] for step in about_file["lineage"]][-1] == "convert"
    assert about_file["lineage"][-1]["config"]["calibration"]["rows"] == 200


def test_a_core_ml_package_is_a_classifier_on_a_gray_image_with_its_contract(artifacts):
    import coremltools as ct

    spec = ct.utils.load_spec(str(artifacts["coreml-fp16"]))
    image = spec.description.input[0].type.imageType
    assert (image.width, image.height) == (SIZE, SIZE)
    assert image.colorSpace == ct.proto.FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
    assert "edgefer.edgefer.json" in spec.description.metadata.userDefined
    assert spec.description.predictedFeatureName == "classLabel"


def test_the_same_command_gives_the_same_bytes(model, artifacts, tmp_path):
    from edgefer.artifact import open_artifact

    ran = edgefer("convert", model, "--to", "tflite-int8", "--data", "synthetic", "--out", tmp_path)
    assert ran.code == 0, ran.err
    again = open_artifact(tmp_path / "small-int8.tflite")
    assert again.manifest.payload_sha256 == open_artifact(artifacts["tflite-int8"]).manifest.payload_sha256


@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_float_input_and_integer_ends(model, tmp_path, io):
    from edgefer.artifact import open_artifact

    arguments = ("--input", "float", "--io", io, "--out", tmp_path)
    ran = edgefer("convert", model, "--to", "tflite-int8,onnx-fp32", "--data", "synthetic", *arguments)
    assert ran.code == 0, ran.err
    manifest = open_artifact(tmp_path / "small-int8.tflite").manifest
    assert manifest.io.mode == "float"
    assert manifest.io.input.dtype == manifest.io.output.dtype == io
    assert manifest.io.input.shape[1:] == (SIZE, SIZE, 3)


def test_float_layers_choose_themselves_and_it_is_said_where_none_is_needed(model, tmp_path):
    words = ("convert", model, "--to", "tflite-int8", "--data", "synthetic", "--keep-float", "auto")
    # Faces it was not trained on: hardly an answer is right, in float or not, and 50 points cannot be lost.
    ran = edgefer(*words, "--max-drop", "50", "--out", tmp_path)
    assert ran.code == 0, ran.err
    assert "tflite-int8: no layer is kept in float: int8 alone has weighted F1" in ran.err
    assert "within 50 points of the float model's" in ran.err
    told = open_artifact(tmp_path / "small-int8.tflite").manifest.lineage[-1].config["calibration"]
    assert told["keep_float"] == []
    assert told["keep_float_chosen"]["max_drop"] == 50


def test_without_data_the_golden_faces_are_synthetic_and_there_is_no_baseline(model, tmp_path):
    from edgefer.artifact import open_artifact

    ran = edgefer("convert", model, "--to", "onnx-fp32", "--out", tmp_path, env=_without_data())
    assert ran.code == 0, ran.err
    assert "no data given" in ran.err
    manifest = open_artifact(tmp_path / "small-fp32.onnx").manifest
    assert manifest.golden.source == "synthetic"
    assert manifest.baseline is None


def _without_data():
    return {key: value for key, value in os.environ.items() if key != "EDGEFER_DATA"}


def test_golden_images_can_be_drawn_ones_whatever_the_data(model, tmp_path):
    from edgefer.artifact import open_artifact
    from tests.e2e.pattern_faces import write_all

    data, out = write_all(tmp_path / "data"), tmp_path / "out"
    said = ("--data", data / "fer2013.csv", "--labels", "ferplus-9", "--golden", "synthetic")
    ran = edgefer("convert", model, "--to", "tflite-fp32", *said, "--out", out)
    assert ran.code == 0, ran.err
    manifest = open_artifact(out / "small-fp32.tflite").manifest
    assert (manifest.golden.source, manifest.baseline.data) == ("synthetic", "FER+")
