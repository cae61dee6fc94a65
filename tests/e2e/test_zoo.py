"""The trained models that come with the package: whole, proven, described, and without anybody's picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.artifact import open_artifact
from edgefer.backbones.contract import read_sidecar
from edgefer.errors import InputError
from edgefer.files import sha256_of
from edgefer.verification import verify
from edgefer.zoo import CARD, copy_model, files_of, models
from tests.e2e.conftest import edgefer

MODELS = models()


def artifacts_of(folder: Path) -> list[Path]:
    return [path for path in files_of(folder) if path.suffix in (".tflite", ".onnx")]


def test_a_newcomer_has_a_model_at_once(tmp_path):
    ran = edgefer("zoo", "student-micro", "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err
    assert [Path(path).exists() for path in ran.json] == [True] * len(ran.json)
    assert {Path(path).suffix for path in ran.json} >= {".md", ".keras", ".tflite", ".onnx"}


def test_the_list_names_every_model():
    ran = edgefer("zoo")
    assert all(name in ran.out for name in MODELS)


def test_nothing_is_written_over(tmp_path):
    copy_model("student-micro", tmp_path)
    (tmp_path / "student-micro" / CARD).write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        copy_model("student-micro", tmp_path)
    assert (tmp_path / "student-micro" / CARD).read_text() == "mine"


def test_a_mistyped_model_is_answered_with_a_suggestion(tmp_path):
    ran = edgefer("zoo", "student-mikro", "--out", tmp_path)
    assert (ran.code, "'student-micro'" in ran.error_line) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MODELS)
def test_its_files_prove_themselves_on_drawn_faces(name: str):
    found = artifacts_of(MODELS[name])
    assert found
    backbone = sha256_of(MODELS[name] / f"{name}.keras")
    for path in found:
        manifest = open_artifact(path).manifest
        assert verify(path).status == "passed"
        assert manifest.backbone_sha256 == backbone
        assert "synthetic" in manifest.golden.source.lower()


@pytest.mark.parametrize("name", MODELS)
def test_its_lineage_names_no_folder_of_the_machine_it_was_trained_on(name: str):
    sidecar = read_sidecar(MODELS[name] / f"{name}.keras")
    assert sidecar is not None
    assert "'/" not in repr(sidecar.lineage)
