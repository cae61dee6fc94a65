"""Core ML files on a machine without Core ML: verified, scored, and damage of every kind found."""

import platform
import shutil
from pathlib import Path

import msgspec
import pytest

from edgefer.artifact import open_artifact, write_artifact
from edgefer.embedding import MLMODEL, payload_sha256
from edgefer.protobuf import fields
from edgefer.runtimes.mil.blob import WeightFile
from edgefer.runtimes.mil.package import describe
from tests.e2e.conftest import edgefer

pytestmark = pytest.mark.skipif(platform.system() == "Darwin", reason="there Core ML itself runs the files")
WEIGHTS = Path(MLMODEL).with_name("weights") / "weight.bin"


def test_every_core_ml_file_is_verified_and_says_what_it_ran_on(artifacts):
    paths = {form: path for form, path in artifacts.items() if form.startswith("coreml")}
    ran = edgefer("verify", *paths.values(), "--json")
    assert ran.code == 0, ran.out
    for outcome in ran.json:
        arithmetic = "float32" if outcome["format"] == "coreml-fp32" else "float16 rounding"
        assert outcome["status"] == "passed"
        assert outcome["executed_on"] == f"reference executor ({arithmetic})"
    told = edgefer("verify", paths["coreml-fp16"])
    assert f"ran on reference executor (float16 rounding): {paths['coreml-fp16'].name}" in told.err


def test_accuracy_without_core_ml_is_emulated_and_has_no_latency(artifacts, tmp_path):
    paths = [path for form, path in artifacts.items() if form.startswith("coreml")]
    options = ("--target", "coreml", "--accuracy-only", "--data", "synthetic", "--out", tmp_path / "runs")
    ran = edgefer("bench", *paths, artifacts["tflite-fp32"], *options, "--json")
    assert ran.code == 2
    assert "target coreml does not take tflite-fp32" in ran.error_line
    ran = edgefer("bench", *paths, *options, "--json")
    assert ran.code == 0, ran.err
    for one in ran.json:
        assert (one["latency"], one["cold_start_ms"], one["peak_memory_bytes"]) == ([], None, None)
        record = msgspec.json.decode(Path(one["record"]).read_bytes())
        assert (record["kind"], record["target"]) == ("emulated", "coreml")
        assert record["executed_on"].startswith("reference executor (float")
        if one["format"] in ("coreml-fp32", "coreml-fp16"):
            # Float16 may turn a few of 450 rows that an untrained network has hardly decided.
            assert abs(one["accuracy"]["f1_drop"]) < (1 if one["format"].endswith("16") else 1e-9)
    report = edgefer("report", tmp_path / "runs", "--out", tmp_path / "report")
    assert report.code == 0, report.err
    page = (tmp_path / "report" / "report.md").read_text()
    assert "coreml, emulated" in page
    assert "measured" not in page


def test_files_of_listed_batch_sizes_are_proven_and_scored_like_classifiers(model, tmp_path):
    words = (
        "--to",
        "coreml-fp32,coreml-w8a8",
        "--batch",
        "8,64",
        "--data",
        "synthetic",
        "--out",
        tmp_path / "made",
    )
    ran = edgefer("convert", model, *words, "--json")
    assert ran.code == 0, ran.err
    paths = [one["path"] for one in ran.json]
    shown = edgefer("inspect", paths[0], "--json").json
    assert shown["io"]["batches"] == [1, 8, 64]
    assert shown["io"]["input"]["shape"] == [None, 24, 24, 1]
    assert "static let batches = [1, 8, 64]" in Path(f"{paths[0]}.README.md").read_text()
    options = ("--target", "coreml", "--accuracy-only", "--data", "synthetic", "--out", tmp_path / "runs")
    scored = edgefer("bench", *paths, *options, "--json")
    assert scored.code == 0, scored.err
    assert abs(scored.json[0]["accuracy"]["f1_drop"]) < 1e-9


def test_latency_needs_a_mac_and_what_else_can_be_done_is_said(artifacts, tmp_path):
    ran = edgefer("bench", artifacts["coreml-fp16"], "--target", "coreml", "--out", tmp_path / "runs")
    assert ran.code == 4
    assert "--accuracy-only" in ran.error_line
    assert "--host user@mac" in ran.error_line
    assert not (tmp_path / "runs").exists()


@pytest.fixture(params=["coreml-fp32", "coreml-fp16"])
def copy(request, artifacts, tmp_path):
    path = tmp_path / "copy.mlpackage"
    shutil.copytree(artifacts[request.param], path)
    return path


def flip_exponent(package):
    """The highest bit of an exponent among the first convolution's weights, which every image passes."""
    operations = describe(package).operations
    name = next(one.inputs["weight"][0] for one in operations if one.type == "conv")
    constant = next(one for one in operations if one.outputs[0].name == name)
    reference, file = constant.attributes["val"], package / WEIGHTS
    width = WeightFile(file).at(reference.offset).dtype.bits // 8
    data = bytearray(file.read_bytes())
    data[reference.offset + 64 + width - 1] ^= 0x40
    file.write_bytes(data)


def swap_classes(package):
    """Two class names of equal length change places in the program, which stands before what edgefer attached."""
    model = package / MLMODEL
    data = bytearray(model.read_bytes())
    for place, name in [(data.index(b"sadness"), b"disgust"), (data.index(b"disgust"), b"sadness")]:
        data[place : place + len(name)] = name
    model.write_bytes(data)


def cut_weights(package):
    file = package / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1000])


def cut_program(package):
    model = package / MLMODEL
    model.write_bytes(model.read_bytes()[:-20000])


def with_a_new_contract(path):
    """The package under its old contract, but for the hash, which is made to fit what the package now is."""

    def change(damage):
        artifact, out = open_artifact(path), path.with_name("forged.mlpackage")
        payload = path.with_name("payload.mlpackage")
        shutil.copytree(path, payload)
        model = payload / MLMODEL
        data = model.read_bytes()
        # The description of the model itself is the first field 2; what edgefer attached are the later ones.
        model.write_bytes(data[: [each.start for each in fields(data) if each.number == 2][1]])
        damage(payload)
        manifest = msgspec.structs.replace(
            artifact.manifest, payload_sha256=payload_sha256("coreml", payload)
        )
        write_artifact(out, payload, manifest, artifact.golden)
        return out

    return change


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (
            flip_exponent,
            "on the golden images: outputs differ from the backbone's by more than the tolerance",
        ),
        (cut_weights, "weight.bin: the weight file is cut off or damaged: it ends at byte"),
        (swap_classes, "names the classes neutral, happiness, surprise, disgust, anger, sadness"),
    ],
    ids=["weight", "weight file", "class order"],
)
def test_damage_shows_in_the_hash_and_is_looked_at_closely(copy, damage, seen):
    damage(copy)
    ran = edgefer("verify", copy, "--json")
    assert ran.code == 3
    assert ran.json[0]["status"] == "failed"
    assert "the model does not have the hash its contract states" in ran.json[0]["reason"]
    assert "the file was damaged or changed" in ran.json[0]["reason"]
    assert seen in ran.json[0]["reason"]


def test_a_program_that_is_cut_off_is_bad_input(copy):
    cut_program(copy)
    ran = edgefer("verify", copy)
    assert ran.code == 2
    assert "copy.mlpackage" in ran.error_line


def test_a_flipped_weight_shows_in_the_golden_replay_where_the_hash_was_made_to_fit(copy):
    ran = edgefer("verify", with_a_new_contract(copy)(flip_exponent), "--json")
    assert ran.code == 3
    assert ran.json[0]["reason"] == "outputs differ from the backbone's by more than the tolerance"


def test_another_class_order_is_named_where_the_hash_was_made_to_fit(copy):
    ran = edgefer("verify", with_a_new_contract(copy)(swap_classes), "--json")
    assert ran.code == 3
    assert "surprise, disgust, anger, sadness" in ran.json[0]["reason"]
    assert "its contract says neutral, happiness, surprise, sadness, anger, disgust" in ran.json[0]["reason"]


def test_a_cut_off_weight_file_is_bad_input_where_the_hash_was_made_to_fit(copy):
    ran = edgefer("verify", with_a_new_contract(copy)(cut_weights))
    assert ran.code == 2
    assert "weight.bin: the weight file is cut off or damaged: it ends at byte" in ran.error_line


def test_a_package_that_is_left_as_it_was_passes_under_the_new_contract(copy):
    """Without damage the tests above would find nothing."""
    assert edgefer("verify", with_a_new_contract(copy)(lambda _: None)).code == 0


def test_a_readme_with_the_contract_stands_beside_every_package(artifacts):
    for form, path in artifacts.items():
        beside = path.with_name(f"{path.name}.README.md")
        assert beside.exists() == form.startswith("coreml")
        if beside.exists():
            text = beside.read_text()
            assert open_artifact(path).sha256 in text
            assert '["neutral", "happiness", "surprise",' in text
            assert ("iOS 18" if form in ("coreml-pal4g", "coreml-sparse-pal6") else "iOS 17") in text


def test_inspect_prints_swift_of_core_ml_files_only(artifacts):
    path = artifacts["coreml-fp16"]
    printed = edgefer("inspect", path, "--swift")
    assert printed.code == 0
    assert printed.out in path.with_name(f"{path.name}.README.md").read_text()
    other = edgefer("inspect", artifacts["onnx-fp32"], "--swift")
    assert other.code == 2
    assert ".mlpackage" in other.error_line
