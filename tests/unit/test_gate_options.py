"""``edgefer gate`` as a user runs it, on real ONNX files of a four-pixel classifier and a folder of its images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from PIL import Image

from edgefer.artifact import write_artifact
from edgefer.cli.gate import command
from edgefer.gating.record import load_gate
from edgefer.spec import LabelSet
from tests.unit.artifact_samples import CLASSES, make, weights

TEST_ROWS = 240
LEAKED = 20


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """240 test images a third each class, of which 20 also stand among the training images."""
    root, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    for split, count in (("train", LEAKED), ("test", TEST_ROWS), ("validation", 6)):
        for number in range(count):
            name = CLASSES[number % 3]
            seeded = np.random.default_rng(number) if number < LEAKED and split != "validation" else random
            pixels = seeded.integers(0, 90, (2, 2), dtype=np.uint8)
            pixels.flat[number % 3] = seeded.integers(150, 256)
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return root


def network(folder, kernel):
    folder.mkdir(parents=True, exist_ok=True)
    return make(folder, kernel).path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Kernels by what they do: the baseline, the same a little colder, and one that never says c."""
    root, blind = tmp_path_factory.mktemp("files"), weights()
    blind[:, 2] = -1
    kernels = {"baseline": weights(), "good": weights() * 0.9, "blind": blind}
    return {name: network(root / name, kernel) for name, kernel in kernels.items()}


def gate(artifact, baseline, data, *options):
    words = [str(artifact), "--against", str(baseline), "--data", str(data), "--labels", "folder", *options]
    return CliRunner().invoke(command, words, standalone_mode=False, prog_name="edgefer gate")


def read(result):
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_an_artifact_that_answers_alike_passes(files, faces, tmp_path):
    out = tmp_path / "gate.json"
    result = gate(files["good"], files["baseline"], faces, "--max-drop", "2", "--out", str(out))
    assert (result.exception, result.return_value) == (None, 0)
    assert result.stdout.startswith("PASS\n- weighted F1 drop")
    found = load_gate(out)
    assert found.rows.rows == TEST_ROWS - LEAKED == 220
    assert found.rows.left_out == LEAKED
    assert found.changed == 0
    assert found.worst == ()
    assert found.calibration.value > 0  # a colder network is less sure, and just as right


def test_an_artifact_that_lost_a_class_fails_and_says_what_became_of_it(files, faces):
    result = gate(files["blind"], files["baseline"], faces, "--json")
    found = read(result)
    assert (result.return_value, found["gate"]) == (3, "fail")
    assert [each["name"] for each in found["classes"] if each["standing"] == "lost"] == ["c"]
    changed = np.asarray(found["flips"])
    assert changed[2, 2] == 0
    assert changed[2].sum() == sum(each["rows"] for each in found["classes"] if each["name"] == "c")
    assert len(found["worst"]) == 12
    assert {each["before"] for each in found["worst"]} == {"c"}
    sure = [min(each["before_p"], each["after_p"]) for each in found["worst"]]
    assert sure == sorted(sure, reverse=True)


def test_few_rows_are_called_too_few(files, faces):
    result = gate(files["good"], files["baseline"], faces, "--rows", "30", "--json")
    found = read(result)
    assert (result.return_value, found["gate"]) == (3, "underpowered")
    assert found["rows"]["rows"] == 30
    assert found["rows_needed"] > 30


def test_leaked_rows_are_used_where_that_is_asked_for(files, faces):
    found = read(gate(files["good"], files["baseline"], faces, "--include-leaked", "--json"))
    assert (found["rows"]["rows"], found["rows"]["left_out"]) == (TEST_ROWS, 0)


def test_equal_gates_are_equal_bytes(files, faces, tmp_path):
    for name in ("one", "two"):
        gate(files["blind"], files["baseline"], faces, "--rows", "50", "--out", str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_named_floor_goes_before_that_of_every_class(files, faces):
    options = ("--class-floor", "0.2", "--class-floor", "c=0.9", "--json")
    found = read(gate(files["good"], files["baseline"], faces, *options))
    assert found["limits"]["floors"] == {"a": 0.2, "b": 0.2, "c": 0.9}


def relabelled(folder, names, path):
    from edgefer.artifact import open_artifact
    from edgefer.embedding import payload_sha256

    folder.mkdir()
    whole = open_artifact(path)
    payload = path.parent / "payload.onnx"
    manifest = replace(
        whole.manifest,
        labels=LabelSet(source="abc", names=names),
        payload_sha256=payload_sha256("onnx", payload),
    )
    return write_artifact(folder / "other.onnx", payload, manifest, whole.golden).path


@pytest.mark.parametrize("case", ["order", "floor", "same", "data", "no model", "share"])
def test_what_cannot_be_compared_is_one_line_and_exit_2(case, files, faces, tmp_path):
    other = relabelled(tmp_path / "other", ("b", "a", "c"), files["good"])
    calls = {
        "order": ((other, files["baseline"], faces), "same classes in the same order"),
        "floor": ((files["good"], files["baseline"], faces, "--class-floor", "d=0.3"), "unknown class 'd'"),
        "same": ((files["good"], files["good"], faces), "the same file"),
        "data": ((files["good"], files["baseline"], tmp_path / "none"), "does not exist"),
        "no model": ((files["good"], tmp_path / "none.onnx", faces), "no such file"),
        "share": ((files["good"], files["baseline"], faces, "--class-floor", "c=30"), "not in the range"),
    }
    words, expected = calls[case]
    result = gate(*words)
    assert getattr(result.exception, "exit_code", None) == 2, result.exception
    assert expected in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_data_without_test_rows_is_refused(files, faces, tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "train").symlink_to(faces / "train")
    result = gate(files["good"], files["baseline"], tmp_path / "faces")
    assert "no test rows" in str(result.exception)
    assert result.exception.exit_code == 2
