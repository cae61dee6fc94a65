"""A bundle, run as on a bare device: by a Python that has numpy, pillow and the runtime."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from artifact_samples import CLASSES, PIXELS, make, weights
from kit import BLOCK
from PIL import Image

from edgefer.bench.target import load_target
from edgefer.device.bundled import _print_labels
from edgefer.errors import InputError
from edgefer.remote.bundle import SCRIPT, write_bundle
from edgefer.tflite_ops import custom_ops, flex_ops


class OnTheDesk:
    """The bundle of one artifact, unpacked somewhere."""

    def __init__(self, folder: Path, **made: object) -> None:
        self.artifact = make(folder, **made)
        self.folder = write_bundle([self.artifact], load_target("raspberry-pi-5"), folder / "bundle")
        (folder / "bare").mkdir()
        (folder / "bare" / "sitecustomize.py").write_text(BLOCK)
        self.around = {**os.environ, "PYTHONPATH": str(folder / "bare")}

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, self.folder / "run_on_device.py", *words]
        done = subprocess.run(
            [str(word) for word in command],
            cwd="/",
            env=self.around,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def bundle(tmp_path):
    return OnTheDesk(tmp_path)


def test_what_lies_in_it(bundle):
    names = {path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*")}
    assert {
        "run_on_device.py",
        "README.md",
        "requirements.txt",
        "artifacts/tiny.onnx",
        "golden/00.png",
    } <= names
    assert len((bundle.folder / "README.md").read_text().splitlines()) == 5
    pins = (bundle.folder / "requirements.txt").read_text().splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["numpy", "pillow", "onnxruntime"]
    assert all("==" in pin for pin in pins)


def test_images_get_their_labels(bundle, tmp_path):
    done = bundle(bundle.folder / "golden", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["label"] for row in json.loads(done.stdout)] == ["a", "b", "c", "a"]
    Image.fromarray(PIXELS[1, :, :, 0]).resize((40, 40), Image.Resampling.NEAREST).save(
        tmp_path / "large.png"
    )
    (row,) = json.loads(bundle(tmp_path / "large.png", "--json").stdout)
    assert row["label"] == "b"
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert list(row["probabilities"]) == list(CLASSES)
    table = bundle(tmp_path / "large.png").stdout.splitlines()
    assert table[0].split() == ["image", "artifact", "label", *CLASSES]
    assert table[1].split()[1:3] == ["tiny.onnx", "b"]


def test_models_of_other_classes_have_a_table_of_their_own(capsys):
    rows = [
        {"image": "a.png", "artifact": "m.onnx", "label": "x", "probabilities": {"x": 0.75, "y": 0.25}},
        {"image": "a.png", "artifact": "n.onnx", "label": "q", "probabilities": {"q": 1.0}},
        {"image": "b.png", "artifact": "m.onnx", "label": "y", "probabilities": {"x": 0.25, "y": 0.75}},
    ]
    _print_labels(rows)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["image", "artifact", "label", "x", "y"],
        ["a.png", "m.onnx", "x", "0.750", "0.250"],
        ["b.png", "m.onnx", "y", "0.250", "0.750"],
        ["image", "artifact", "label", "q"],
        ["a.png", "n.onnx", "q", "1.000"],
    ]


def test_it_proves_itself(bundle):
    done = bundle("--golden", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["status"] == "passed"
    assert row["max_abs"] < 1e-6


def test_a_model_that_answers_otherwise_is_exit_3(tmp_path):
    done = OnTheDesk(tmp_path, kernel=weights()[:, ::-1])("--golden")
    assert done.returncode == 3
    assert "outputs differ" in done.stdout


def test_it_measures_with_the_code_of_bench(bundle, tmp_path):
    done = bundle("--bench", "--min-time", "0.02", "--threads", "1", "--json", "--out", tmp_path / "raw")
    assert done.returncode == 0, done.stderr
    (task,) = json.loads(done.stdout)["tasks"]
    assert [timing["batch"] for timing in task["timings"]] == [1, 8]
    assert len(task["timings"][0]["samples_ns"]) >= 30
    assert task["cold"]["load_ns"] > 0
    assert json.loads((tmp_path / "raw" / "result.json").read_text())["tasks"] == [task]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        ((), "nothing to do", 2),
        (("none.png",), "none.png: cannot be read as an image", 2),
        (("--golden", "--only", "big"), "no artifact 'big'; there are: artifacts/tiny.onnx", 2),
        (("--golden", "--bench"), "--golden and --bench are given", 2),
        (("none.png", "--golden"), "images and --golden are given", 2),
        (("--golden", "--out", "x"), "--out is for --bench", 2),
        (("--bench", "--threads", "-3"), "--threads -3: no number of threads", 2),
    ],
)
def test_one_clear_line(bundle, words, said, code):
    done = bundle(*words)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_an_image_that_cannot_be_read_does_not_keep_the_others_from_their_labels(bundle, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = bundle(bundle.folder / "golden" / "00.png", tmp_path / "broken.png", "--json")
    assert done.returncode == 2
    assert [Path(row["image"]).name for row in json.loads(done.stdout)] == ["00.png"]
    assert "broken.png: cannot be read as an image" in done.stderr


def test_a_python_without_packages_is_told_what_it_lacks(bundle):
    command = [sys.executable, "-S", str(bundle.folder / "run_on_device.py"), "--golden"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: numpy and pillow not installed; README.md")


def test_an_old_python_can_read_the_script_and_say_that_it_is_old():
    ast.parse(SCRIPT, feature_version=(3, 7))


def test_a_damaged_file_in_it_is_noticed(bundle):
    place = bundle.folder / "artifacts" / "tiny.onnx"
    content = bytearray(place.read_bytes())
    content[content.index(b"logits")] ^= 1
    place.write_bytes(content)
    done = bundle("--golden")
    assert done.returncode == 3
    assert "does not have the hash" in done.stderr


def test_it_starts_at_once(bundle):
    best = 9.0
    for _ in range(3):
        begin = time.perf_counter()
        assert bundle("--help").returncode == 0
        best = min(best, time.perf_counter() - begin)
    assert best < 1


def test_it_imports_nothing_for_files_of_another_container(bundle):
    bundle.around["PYTHONPROFILEIMPORTTIME"] = "1"
    done = bundle("--golden")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "edgefer.device.proving" in imported
    assert not {name for name in imported if name.startswith("edgefer.runtimes.mil.")}


def test_equal_input_gives_equal_archives(tmp_path):
    artifact, target = make(tmp_path), load_target("raspberry-pi-5")
    one = write_bundle([artifact], target, tmp_path / "one" / "pi.tar.gz")
    two = write_bundle([artifact], target, tmp_path / "two" / "pi.tar.gz")
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as tar:
        assert "pi/run_on_device.py" in tar.getnames()
    assert [path.name for path in one.parent.iterdir()] == ["pi.tar.gz"]


def test_a_bundle_takes_the_place_of_a_bundle_and_of_nothing_else(tmp_path, bundle):
    write_bundle([bundle.artifact], load_target("raspberry-pi-4"), bundle.folder)
    assert json.loads((bundle.folder / "bundle.json").read_text())["target"] == "raspberry-pi-4"
    with pytest.raises(InputError, match="is there and is no bundle"):
        write_bundle([bundle.artifact], load_target("raspberry-pi-4"), tmp_path / "bare")
    assert (tmp_path / "bare" / "sitecustomize.py").exists()


@pytest.mark.parametrize("name", ["result.json", "env"])
def test_what_was_measured_or_installed_in_it_is_not_lost(bundle, name):
    (bundle.folder / name).write_text("mine")
    with pytest.raises(InputError, match=rf"holds more than a bundle does \({name}\)"):
        write_bundle([bundle.artifact], load_target("raspberry-pi-4"), bundle.folder)
    assert (bundle.folder / name).read_text() == "mine"


def test_results_are_no_bundle(bundle, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "bundle.json").write_bytes((bundle.folder / "bundle.json").read_bytes())
    with pytest.raises(InputError, match="is there and is no bundle"):
        write_bundle([bundle.artifact], load_target("raspberry-pi-4"), results)


def test_another_container_is_refused_before_anything_is_written(tmp_path):
    artifact = make(tmp_path)
    with pytest.raises(InputError, match="target coreml does not take onnx-fp32"):
        write_bundle([artifact], load_target("coreml"), tmp_path / "bundle")
    with pytest.raises(InputError, match="runs it by onnxruntime-cuda, which a bundle does not bring"):
        write_bundle([artifact], load_target("cuda"), tmp_path / "bundle")
    with pytest.raises(InputError, match="another artifact is called"):
        write_bundle([artifact, artifact], load_target("cpu"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def tflite(path: Path, *custom: str) -> Path:
    """A TFLite file whose operators are one builtin one and the given custom ones."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    import flatbuffers

    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = [schema.OperatorCodeT() for _ in range(1 + len(custom))]
    for code, name in zip(model.operatorCodes[1:], custom, strict=True):
        code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, name
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_operators_are_read_from_the_file(tmp_path):
    assert custom_ops(tflite(tmp_path / "plain.tflite")) == []
    mixed = tflite(tmp_path / "mixed.tflite", "TFLite_Detection_PostProcess", "FlexErf", "FlexRange")
    assert custom_ops(mixed) == ["TFLite_Detection_PostProcess", "FlexErf", "FlexRange"]
    assert flex_ops(mixed) == ["FlexErf", "FlexRange"]


def test_a_cut_flatbuffer_is_said_to_be_damaged(tmp_path):
    path = tflite(tmp_path / "cut.tflite", "FlexErf")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"cut\.tflite: damaged"):
        custom_ops(path)


def test_flex_is_refused_before_anything_is_written(tmp_path):
    from dataclasses import replace

    path = tflite(tmp_path / "flex.tflite", "FlexErf")
    made = make(tmp_path)
    from msgspec.structs import replace as changed

    artifact = replace(
        made, path=path, container="tflite", manifest=changed(made.manifest, format="tflite-fp32")
    )
    with pytest.raises(InputError, match=r"flex\.tflite: needs TensorFlow's own operators \(FlexErf\)"):
        write_bundle([artifact], load_target("raspberry-pi-5"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
