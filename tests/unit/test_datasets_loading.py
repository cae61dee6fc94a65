"""Which layout a path is in, the cache, and what an inspection counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefer.datasets.base import Dataset
from edgefer.datasets.inspection import inspect
from edgefer.datasets.loading import load, plan
from edgefer.errors import InputError
from tests.unit.dataset_samples import face, save

USAGES = ("Training", "PublicTest", "PrivateTest")


def test_without_any_data_the_hint_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    with pytest.raises(InputError, match=r"give --data PATH, set EDGEFER_DATA, or use --data synthetic"):
        load(None)


def test_the_variable_names_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFER_DATA", "synthetic")
    assert load(None).synthetic


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "nowhere")


def test_an_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no known layout; understood: .*fer2013\.csv.*JAFFE"):
        load(tmp_path)


def test_a_mistyped_label_set_is_answered_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"no label set 'ferplus9'; did you mean 'ferplus-9'\?"):
        load("synthetic", "ferplus9")


def test_a_split_that_is_not_there_names_those_that_are() -> None:
    dataset = load("synthetic")
    only = replace(dataset, splits={"train": dataset.split("train")})
    with pytest.raises(InputError, match="has no test rows; it has: train"):
        only.split("test")


def same(first: Dataset, second: Dataset) -> bool:
    facts = ("name", "labels", "dropped", "ties", "census", "synthetic")
    arrays = ("pixels", "labels", "soft", "leaked")
    return all(getattr(first, fact) == getattr(second, fact) for fact in facts) and all(
        np.array_equal(getattr(rows, array), getattr(second.split(name), array))
        for name, rows in first.splits.items()
        for array in arrays
    )


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Few and quickly parsed: one row a split."""
    pixels = " ".join(str(number % 256) for number in range(48 * 48))
    rows = (f"{emotion},{pixels},{usage}" for emotion, usage in enumerate(USAGES))
    file = tmp_path / "fer2013.csv"
    file.write_text("\n".join(("emotion,pixels,Usage", *rows)))
    return file


def test_a_second_load_gives_the_same_arrays_unparsed(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    planned = plan(faces)
    first = planned.load()
    monkeypatch.setattr("edgefer.datasets.fer2013.parse", None)
    assert same(first, planned.load())
    assert planned.entry.is_relative_to(tmp_path / "cache")
    assert [entry.name for entry in planned.entry.parent.iterdir()] == [planned.entry.name]


def test_cached_arrays_cannot_be_written(faces: Path) -> None:
    pixels = load(faces).split("test").pixels
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


@pytest.mark.parametrize("file", ["train-pixels.npy", "test-leaked.npy", "validation-soft.npy", "entry.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_entry_is_built_anew(faces: Path, file: str, damage: str) -> None:
    planned = plan(faces)
    first = planned.load().split("train").sha256
    broken = planned.entry / file
    content = broken.read_bytes()
    broken.unlink()
    if damage != "gone":
        broken.write_bytes(content[:-9] if damage == "cut" else content[:-9] + b"?" * 9)
    assert planned.load().split("train").sha256 == first
    assert broken.read_bytes() == content


def test_what_a_killed_run_left_half_written_is_swept_and_a_running_ones_is_not(faces: Path) -> None:
    planned = plan(faces)
    left, running = (planned.entry.parent / f".{name}.abc" for name in ("left", "running"))
    for each in (left, running):
        (each / "entry").mkdir(parents=True)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    planned.load()
    assert not left.exists()
    assert running.exists()


def test_settings_and_sources_have_entries_of_their_own(faces: Path) -> None:
    entries = {plan(faces).entry, plan(faces, size=(96, 96)).entry, plan(faces, channels=3).entry}
    faces.write_text("emotion,pixels,Usage\n")
    entries.add(plan(faces).entry)
    assert len(entries) == 4


def test_a_link_moved_to_another_class_has_an_entry_of_its_own(tmp_path: Path) -> None:
    for name in ("angry", "sad"):
        for row in range(2):
            save(tmp_path / "pool" / f"{name}{row}.png", face(row))
            link = tmp_path / "faces" / name / f"{row}.png"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(tmp_path / "pool" / f"{name}{row}.png")
    faces = tmp_path / "faces"
    entries = {plan(faces).entry}
    (faces / "angry" / "1.png").rename(faces / "sad" / "1b.png")
    entries.add(plan(faces).entry)
    (faces / "angry").rename(faces / "fear")
    entries.add(plan(faces).entry)
    assert len(entries) == 3


def test_a_cache_that_cannot_be_written_says_so(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set EDGEFER_CACHE"):
        load(faces)


def test_finding_a_layout_imports_nothing_heavy() -> None:
    code = (
        "import sys; from edgefer.datasets.loading import plan; plan('synthetic'); "
        "sys.exit(bool({'pandas', 'PIL', 'sklearn', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_inspection_counts_what_the_set_holds() -> None:
    dataset = load("synthetic")
    found = inspect(dataset)
    for name, split in found.splits.items():
        rows = dataset.split(name)
        assert split.rows == sum(split.classes.values()) == len(rows)
        assert split.ties == dataset.ties[name]
        assert split.leaked == found.usable.leaked.get(name, 0) == rows.leaked.sum()
        assert 0.5 < split.majority_share < 1
    assert found.in_files.duplicates == found.usable.duplicates > 0
