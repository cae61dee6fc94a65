"""A run of stages in its folder: what it remembers, and when it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgefer.compressing import _hashes
from edgefer.compression.planning import Planned, read_plan
from edgefer.files import sha256_of

TRAINING = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}


def distil(**changed: Any) -> tuple[Planned, ...]:
    student = {"family": "file", "weights": "none"}
    settings = {"student": student, "tuning": {"training": TRAINING}}
    return read_plan([{"stage": "distill", **settings, **changed}])


def test_the_files_that_stages_name_are_known_by_their_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.keras").write_text(name)
    plan = distil(
        student={"family": "file", "weights": "~/one.keras"},
        teachers=["~/two.keras", "~/missing.keras"],
        tuning={"training": {**TRAINING, "distillation": {"teachers": [str(tmp_path / "three.keras")]}}},
    )
    assert _hashes(plan) == {
        "~/one.keras": sha256_of(tmp_path / "one.keras"),
        "~/two.keras": sha256_of(tmp_path / "two.keras"),
        str(tmp_path / "three.keras"): sha256_of(tmp_path / "three.keras"),
    }


def test_weights_that_have_a_name_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagenet").mkdir()
    assert _hashes(distil(student={"family": "mobilenetv2", "weights": "imagenet"})) == {}
