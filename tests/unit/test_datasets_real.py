"""The facts about the real files that the README and every published number rest on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgefer.datasets.class_folder import finds
from edgefer.datasets.inspection import inspect
from edgefer.datasets.loading import load, plan
from edgefer.datasets.pictures import decode

pytestmark = pytest.mark.data


def test_ferplus_9(real_data: Path) -> None:
    found = inspect(load(real_data, "ferplus-9"))
    assert {name: split.rows for name, split in found.splits.items()} == {
        "train": 28559,
        "validation": 3578,
        "test": 3573,
    }
    test = found.splits["test"]
    assert tuple(test.classes.values()) == (1262, 928, 444, 444, 325, 23, 93, 27, 27)
    assert test.dropped == {"no image name": 15, "not a face": 1}
    assert test.ties == 170
    assert test.majority_share == pytest.approx(0.74, abs=0.002)


def test_exact_duplicates(real_data: Path) -> None:
    found = inspect(load(real_data, "ferplus-9"))
    assert found.in_files.duplicates == 1852
    assert found.in_files.leaked == {"validation": 280, "test": 288}
    assert found.usable.duplicates == 1840
    assert found.usable.leaked == {"validation": 279, "test": 288}


def test_fer2013_7_uses_every_row(real_data: Path) -> None:
    dataset = load(real_data, "fer2013-7")
    assert [len(rows) for rows in dataset.splits.values()] == [28709, 3589, 3589]
    assert dataset.ties == {}


def test_ferplus_8(real_data: Path) -> None:
    dataset = load(real_data, "ferplus-8")
    assert len(dataset.split("test")) == 3573 - 27


def test_ck_plus_is_split_by_subject(real_data: Path) -> None:
    folder = real_data / "CK+48"
    dataset = load(folder)
    assert sum(map(len, dataset.splits.values())) == 981
    files = sorted(folder.glob("*/*.png"))
    pixels, _ = decode(files, (48, 48), 1)
    person_of = {image.tobytes(): file.name[:4] for image, file in zip(pixels, files, strict=True)}
    people = [{person_of[np.asarray(p).tobytes()] for p in rows.pixels} for rows in dataset.splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == len({file.name[:4] for file in files})
    assert all(re.fullmatch(r"S\d{3}", person) for person in set.union(*people))


def test_the_folder_of_all_files_is_no_class_folder(real_data: Path) -> None:
    assert not finds(real_data)
    assert plan(real_data).reader.id == "ferplus"


LOAD_AGAIN = """
import sys
from edgefer.datasets.loading import load
load(None)
sys.exit("pandas" in sys.modules)
"""


def test_a_second_load_does_without_pandas(real_data: Path) -> None:
    load(real_data)
    environment = {**os.environ, "EDGEFER_DATA": str(real_data)}
    command = [sys.executable, "-c", LOAD_AGAIN]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
