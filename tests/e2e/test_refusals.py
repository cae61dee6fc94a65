"""Bad input: one clear line, the right exit code, nothing half-written."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.e2e.conftest import edgefer


def convert(model, out, *extra, to="tflite-int8", data="synthetic", **options):
    given = ("--data", data) if data else ()
    return edgefer("convert", model, "--to", to, *given, "--out", out, *extra, **options)


def refused(ran, out, *words):
    assert ran.code == 2, ran.err
    for word in words:
        assert word in ran.error_line
    assert not out.exists() or not list(out.iterdir())


def test_a_place_that_cannot_be_written_is_refused_before_the_work(artifacts, tmp_path):
    (tmp_path / "notes").write_text("mine")
    ran = edgefer("bench", artifacts["tflite-int8"], "--out", tmp_path / "notes" / "runs")
    assert ran.code == 2
    assert "notes is a file, not a folder" in ran.error_line
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_mistyped_format_is_answered_with_a_suggestion(model, tmp_path):
    refused(
        convert(model, tmp_path / "o", to="tflite-in8"),
        tmp_path / "o",
        "unknown format 'tflite-in8'",
        "'tflite-int8'",
    )


def test_a_mistyped_label_set_too(model, tmp_path):
    refused(convert(model, tmp_path / "o", "--labels", "ferplus9"), tmp_path / "o", "'ferplus-9'")


@pytest.mark.parametrize(
    ("sizes", "formats", "said"),
    [
        ("8", "onnx-fp32,tflite-fp32", "--batch is for Core ML files, and --to names none"),
        ("1", "coreml-fp16", "--batch names 0 sizes beside 1"),
        ("0", "coreml-fp16", "no list of batch sizes"),
    ],
)
def test_batch_sizes_that_no_file_can_list(model, tmp_path, sizes, formats, said):
    refused(convert(model, tmp_path / "o", "--batch", sizes, to=formats), tmp_path / "o", said)


def test_a_missing_model(tmp_path):
    refused(convert(tmp_path / "no.keras", tmp_path / "o"), tmp_path / "o", "no.keras: no such file")


def test_a_truncated_model(model, tmp_path):
    shutil.copy(model, tmp_path / "cut.keras")
    shutil.copy(model.with_suffix(".edgefer.json"), tmp_path / "cut.edgefer.json")
    content = model.read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: len(content) // 2])
    refused(convert(tmp_path / "cut.keras", tmp_path / "o"), tmp_path / "o", "cut.keras: truncated")


@pytest.mark.parametrize("form", ["tflite-int8", "onnx-int8", "coreml-fp16"])
def test_a_truncated_artifact(artifacts, tmp_path, form):
    path = tmp_path / artifacts[form].name
    if path.suffix == ".mlpackage":
        shutil.copytree(artifacts[form], path)
        inner = path / "Data/com.apple.CoreML/model.mlmodel"
    else:
        shutil.copy(artifacts[form], path)
        inner = path
    inner.write_bytes(inner.read_bytes()[: inner.stat().st_size // 2])
    ran = edgefer("verify", path)
    assert ran.code == 2
    assert path.name in ran.error_line


@pytest.mark.parametrize("form", ["tflite-int8", "onnx-int8"])
def test_one_flipped_weight_byte_is_caught(artifacts, tmp_path, form):
    path = tmp_path / artifacts[form].name
    content = bytearray(artifacts[form].read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)
    ran = edgefer("verify", path, "--json")
    assert ran.code == 3
    assert "damaged or changed" in ran.json[0]["reason"]
    assert edgefer("bench", path, "--data", "synthetic", "--accuracy-only", "--out", tmp_path / "r").code == 3


def test_a_calibrated_format_without_data(model, tmp_path):
    env = {key: value for key, value in os.environ.items() if key != "EDGEFER_DATA"}
    refused(
        convert(model, tmp_path / "o", data=None, env=env),
        tmp_path / "o",
        "needs calibration images",
        "--data",
    )


@pytest.mark.parametrize("form", ["tflite-int8", "onnx-fp32"])
def test_an_empty_calibration_set(model, tmp_path, form):
    ran = convert(model, tmp_path / "o", "--calibration", "0", to=form)
    refused(ran, tmp_path / "o", "'--calibration': 0 is not in the range")


def test_an_integer_type_that_no_file_takes(model, tmp_path):
    ran = convert(model, tmp_path / "o", "--io", "int8", to="onnx-int8")
    refused(ran, tmp_path / "o", "none of the formats takes int8 at its ends; tflite-int8 does")


def test_data_without_a_training_split(model, tmp_path):
    from PIL import Image

    for name in ("neutral", "happiness"):
        folder = tmp_path / "faces" / "test" / name
        folder.mkdir(parents=True)
        Image.fromarray(np.full((24, 24), 99, np.uint8)).save(folder / "one.png")
    ran = convert(model, tmp_path / "o", "--labels", "ferplus-9", data=tmp_path / "faces")
    refused(ran, tmp_path / "o", "train")


def test_a_class_count_that_does_not_fit(model, tmp_path):
    foreign = tmp_path / "foreign.keras"
    shutil.copy(model, foreign)
    ran = convert(foreign, tmp_path / "o", "--labels", "fer2013-7", "--range", "0..1", data=None)
    refused(ran, tmp_path / "o", "9 outputs", "7 classes")


def test_a_model_that_says_nothing_of_its_range(model, tmp_path):
    foreign = tmp_path / "foreign.keras"
    shutil.copy(model, foreign)
    refused(
        convert(foreign, tmp_path / "o", "--labels", "ferplus-9"), tmp_path / "o", "input range", "--range"
    )


def test_constant_outputs_are_no_proof(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((24, 24, 1))
    value = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    dense = keras.layers.Dense(9, activation="softmax", kernel_initializer="zeros")
    keras.Model(image, dense(value)).save(tmp_path / "flat.keras")
    said = ("--labels", "ferplus-9", "--range", "0..1")
    ran = convert(tmp_path / "flat.keras", tmp_path / "o", *said, to="onnx-fp32")
    assert ran.code == 3
    assert "proves nothing" in ran.err
    ran = edgefer("verify", tmp_path / "o" / "flat-fp32.onnx", "--json")
    assert ran.code == 3
    assert "nearly constant" in ran.json[0]["reason"]


def test_a_full_disk_leaves_the_old_file(model, artifacts, tmp_path):
    out = tmp_path / "o"
    out.mkdir()
    old = out / "small-int8.tflite"
    shutil.copy(artifacts["tflite-int8"], old)
    before = old.read_bytes()
    # A limit on file sizes fails in the same place and way as a full disk: in write().
    script = """
import resource, signal
from edgefer.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
main()
"""
    command = [
        sys.executable,
        "-c",
        script,
        "convert",
        str(model),
        "--to",
        "tflite-int8",
        "--data",
        "synthetic",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "edgefer: error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert old.read_bytes() == before
    assert [p.name for p in out.iterdir()] == [old.name]


def test_an_interrupt_leaves_nothing(model, tmp_path):
    out = tmp_path / "o"
    command = [
        sys.executable,
        "-m",
        "edgefer",
        "convert",
        str(model),
        "--to",
        "all",
        "--data",
        "synthetic",
        "--out",
        str(out),
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (
        out.exists() and any(p.suffix == ".mlpackage" and not p.name.startswith(".") for p in out.iterdir())
    ):
        assert time.monotonic() < deadline, "no first artifact"
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 2, err
    assert "interrupted" in err
    assert "Traceback" not in err
    from edgefer.artifact import open_artifact

    for path in out.iterdir():
        assert not path.name.startswith("."), "half-written"
        if not path.name.endswith(".README.md"):
            open_artifact(path)


def test_why_a_format_failed_is_told_however_quiet(model, tmp_path):
    words = ("--to", "tflite-int16x8,tflite-int8", "--calibration-method", "mse", "--data", "synthetic")
    ran = edgefer("-q", "convert", model, *words, "--out", tmp_path / "o")
    assert ran.code == 3
    assert ran.err.startswith("edgefer: error: tflite-int16x8: TFLiteConverter takes the ranges"), ran.err
