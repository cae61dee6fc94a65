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
from edgefer.datasets.loading import load, load_for, plan
from edgefer.datasets.pictures import decode
from edgefer.recipe import DataPart

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
    assert plan(real_data).sources[0].reader.id == "ferplus"


def merged(split: str, labels: str = "fer2013-7") -> DataPart:
    return DataPart(labels=labels, sets=("fer2013", "ck+"), optional=("jaffe", "affectnet"), split=split)  # type: ignore[arg-type]


def test_ck_plus_beside_fer2013_keeps_fer2013s_parts(real_data: Path) -> None:
    dataset = load_for(real_data, merged("files"))
    found = inspect(dataset)
    assert dataset.absent == ("jaffe", "affectnet")
    assert [sum(split.sets["fer2013"].values()) for split in found.splits.values()] == [28709, 3589, 3589]
    assert [sum(split.sets["ck+"].values()) for split in found.splits.values()] == [747, 93, 87]
    assert sum(split.dropped["contempt"] for split in found.splits.values()) == 54
    assert found.usable.leaked == {"validation": 280, "test": 288}


def test_ck_plus_and_fer2013_dealt_anew(real_data: Path) -> None:
    dataset = load_for(real_data, merged("grouped"))
    found = inspect(dataset)
    shares = {
        name: [sum(split.sets[name].values()) for split in found.splits.values()] for name in dataset.sets
    }
    assert sum(shares["fer2013"]) == 35887
    assert sum(shares["ck+"]) == 927
    for counts in shares.values():
        np.testing.assert_allclose(np.array(counts) / sum(counts), [0.8, 0.1, 0.1], atol=0.02)
    images = [{image.tobytes() for image in rows.pixels} for rows in dataset.splits.values()]
    assert sum(map(len, images)) == len(set.union(*images))
    files = sorted((real_data / "CK+48").glob("*/*.png"))
    _, prints = decode(files, (48, 48), 1)
    person_of = {one: file.name[:4] for one, file in zip(prints.tolist(), files, strict=True)}
    people = [
        {person_of[one] for one in rows.prints[rows.sources == 1].tolist()}
        for rows in dataset.splits.values()
    ]
    assert sum(map(len, people)) == len(set.union(*people)) > 100


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
