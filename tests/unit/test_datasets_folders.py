"""Folders of images: classes, JAFFE, FER+'s own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer.datasets.base import Dataset
from edgefer.datasets.labels import CODES, LABEL_SETS, SPELLINGS
from edgefer.datasets.loading import load
from edgefer.errors import InputError
from edgefer.spec import LabelSet


def draw(file: Path, seed: int, size: tuple[int, int] = (48, 48), mode: str = "L") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    Image.fromarray(values).convert(mode).save(file)
    return file


def class_folders(root: Path, names: tuple[str, ...], count: int = 20) -> Path:
    for number, name in enumerate(names):
        for row in range(count):
            draw(root / name / f"{row:03d}.png", 1000 * number + row)
    return root


def test_class_folders_are_named_by_themselves_and_cut_80_10_10(tmp_path: Path) -> None:
    dataset = load(class_folders(tmp_path / "faces", ("sad", "angry")))
    assert dataset.name == "faces"
    assert dataset.labels.source == "folder"
    assert dataset.labels.names == ("angry", "sad")
    counts = {name: np.bincount(rows.labels).tolist() for name, rows in dataset.splits.items()}
    assert counts == {"train": [16, 16], "validation": [2, 2], "test": [2, 2]}


@pytest.mark.parametrize("label_set", ["ferplus-9", "ferplus-8", "fer2013-7"])
def test_folder_names_map_through_the_aliases(tmp_path: Path, label_set: str) -> None:
    dataset = load(class_folders(tmp_path, ("Happy", "angry", "Sadness"), 10), label_set)
    names = dataset.labels.names
    assert dataset.labels == LABEL_SETS[label_set]
    found = {names[label] for rows in dataset.splits.values() for label in rows.labels.tolist()}
    assert found == {"happiness", "anger", "sadness"}
    assert dataset.split("train").soft.shape[1] == len(names)


@pytest.mark.parametrize("label_set", ["ferplus-9", "basic-6"])
def test_a_folder_that_means_no_expression_is_named(tmp_path: Path, label_set: str) -> None:
    class_folders(tmp_path, ("happy", "bored"), 2)
    with pytest.raises(InputError, match=f"'bored' is no class of {label_set}"):
        load(tmp_path, label_set)


@pytest.mark.parametrize(
    ("label_set", "left_out"),
    [
        ("ferplus-8", set()),
        ("fer2013-7", {"contempt"}),
        ("basic-6", {"contempt", "neutral"}),
        ("basic-5-neutral", {"contempt", "disgust"}),
    ],
)
def test_rows_of_other_classes_are_left_out_and_counted(
    tmp_path: Path, label_set: str, left_out: set[str]
) -> None:
    names = ("angry", "contempt", "disgust", "neutral", "sad")
    dataset = load(class_folders(tmp_path, names, 10), label_set)
    dropped = Counter[str]()
    for reasons in dataset.dropped.values():
        dropped.update(reasons)
    assert dropped == dict.fromkeys(left_out, 10)
    assert len(dataset.split("train")) == 8 * (5 - len(left_out))


def test_no_row_left_is_an_error(tmp_path: Path) -> None:
    class_folders(tmp_path, ("neutral", "contempt"), 2)
    with pytest.raises(InputError, match="no row has a class of basic-6"):
        load(tmp_path, "basic-6")


def test_numbers_mean_what_they_mean_in_the_set_the_folder_is_named_after(tmp_path: Path) -> None:
    counts = {}
    for name in ("AffectNet-8", "fer2013"):
        root = class_folders(tmp_path / name, ("0", "3"), 10)
        counts[name] = np.bincount(load(root, "fer2013-7").split("train").labels, minlength=7).tolist()
    assert counts == {"AffectNet-8": [0, 0, 0, 0, 0, 8, 8], "fer2013": [8, 0, 0, 8, 0, 0, 0]}
    with pytest.raises(InputError, match="'0' is no class"):
        load(class_folders(tmp_path / "mine", ("0", "3"), 2), "fer2013-7")


def test_all_spellings_and_codes_lead_to_known_expressions() -> None:
    known = set(LABEL_SETS["ferplus-9"].names)
    assert set(SPELLINGS) == known
    assert {name for codes in CODES.values() for name in codes.values()} <= known
    assert all(set(labels.names) <= known for labels in LABEL_SETS.values())


def sizes(dataset: Dataset) -> dict[str, int]:
    return {name: len(rows) for name, rows in dataset.splits.items()}


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_split_folders_are_kept(tmp_path: Path, validation: str) -> None:
    for part, (split, count) in enumerate((("train", 5), (validation, 2), ("test", 3))):
        for row in range(count):
            draw(tmp_path / split / "happy" / f"{row}.png", 100 * part + row)
            draw(tmp_path / split / "sad" / f"{row}.png", 100 * part + 50 + row)
    draw(tmp_path / "test" / "sad" / "copy.png", 0)
    dataset = load(tmp_path)
    assert sizes(dataset) == {"train": 10, "validation": 4, "test": 7}
    assert dataset.split("test").leaked.sum() == 1


def test_a_missing_validation_folder_is_cut_from_training(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", ("happy", "sad"))
    class_folders(tmp_path / "test", ("happy", "sad"), 4)
    assert sizes(load(tmp_path)) == {"train": 36, "validation": 4, "test": 8}


def test_a_missing_training_folder_is_an_error(tmp_path: Path) -> None:
    class_folders(tmp_path / "test", ("happy", "sad"), 2)
    with pytest.raises(InputError, match="no training images"):
        load(tmp_path)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only class folder"):
        load(class_folders(tmp_path, ("happy",), 3))


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "ppm", "PNG"])
def test_every_image_format_is_read(tmp_path: Path, suffix: str) -> None:
    for name in ("happy", "sad"):
        for row in range(4):
            draw(tmp_path / name / f"{row}.{suffix}", row + len(name), (60, 40), "RGB")
    pixels = load(tmp_path, channels=3).split("train").pixels
    assert pixels.shape[1:] == (48, 48, 3)


def test_gray_pgm_files_are_read(tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        for row in range(4):
            draw(tmp_path / name / f"{row}.pgm", row + len(name))
    assert load(tmp_path).split("train").pixels.shape[1:] == (48, 48, 1)


def test_a_class_folder_without_pictures_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"), 2)
    draw(tmp_path / "fear" / "0.gif", 1)
    with pytest.raises(
        InputError, match=r"fear holds no pictures; fill or remove it; read are \.png, .*\.webp"
    ):
        load(tmp_path)


def test_pictures_one_level_deeper_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"), 2)
    draw(tmp_path / "sad" / "S001" / "0.png", 1)
    with pytest.raises(InputError, match=r"sad.S001 holds pictures one level deeper"):
        load(tmp_path)


def test_files_that_are_no_pictures_are_counted_again_when_there_are_more(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"))
    draw(tmp_path / "sad" / "0.gif", 1)
    (tmp_path / "sad" / "Thumbs.db").touch()
    (tmp_path / "sad" / ".DS_Store").touch()
    assert load(tmp_path).skipped == load(tmp_path).skipped == {".gif": 1, ".db": 1}
    draw(tmp_path / "happy" / "0.GIF", 1)
    assert load(tmp_path).skipped == {".gif": 2, ".db": 1}


def test_what_macos_puts_beside_the_split_folders_is_no_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", ("happy", "sad"))
    class_folders(tmp_path / "test", ("happy", "sad"), 4)
    (tmp_path / "__MACOSX" / "train").mkdir(parents=True)
    assert sizes(load(tmp_path)) == {"train": 36, "validation": 4, "test": 8}


def test_the_split_does_not_depend_on_the_size(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"))
    small = load(tmp_path, size=(8, 8))
    for name, rows in load(tmp_path).splits.items():
        images = (Image.fromarray(pixels[..., 0]) for pixels in rows.pixels)
        shrunk = [np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)) for image in images]
        np.testing.assert_array_equal(small.split(name).pixels[..., 0], shrunk)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"), 3)
    broken = tmp_path / "sad" / "001.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(InputError, match=r"sad.001\.png: cannot be read as an image"):
        load(tmp_path)


def test_folders_that_are_some_of_a_networks_classes_are_numbered_among_them(tmp_path: Path) -> None:
    dataset = load(class_folders(tmp_path, ("happy", "sad"), 20))
    classes = LabelSet(source="folder", names=("angry", "happy", "neutral", "sad"))
    found = dataset.among(classes)
    assert found.labels == classes
    for name, rows in found.splits.items():
        before = dataset.split(name)
        assert {int(label) for label in rows.labels} == {1, 3}
        np.testing.assert_array_equal(rows.soft.argmax(axis=1), rows.labels)
        np.testing.assert_array_equal((before.labels == 1), (rows.labels == 3))
        np.testing.assert_array_equal(rows.soft.sum(axis=1), 1)
    other = LabelSet(source="folder", names=("happy", "surprised"))
    assert dataset.among(other) is dataset
    assert dataset.among(LABEL_SETS["ferplus-9"]) is dataset


def test_several_broken_images_are_counted_and_the_first_named(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy", "sad"), 5)
    for row in range(5):
        (tmp_path / "sad" / f"{row:03d}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"5 pictures cannot be used: .*000.*001.*002.*; and 2 more"):
        load(tmp_path)


def test_ck_subjects_stay_in_one_split(tmp_path: Path) -> None:
    for person in range(30):
        for frame in range(3):
            emotion = ("anger", "happy")[person % 2]
            draw(tmp_path / emotion / f"S{person:03d}_004_{frame:08d}.png", 3 * person + frame)
    dataset = load(tmp_path)
    assert sum(sizes(dataset).values()) == 90
    assert all(size % 3 == 0 and size >= 6 for size in sizes(dataset).values())


def test_copies_of_one_image_stay_in_one_split(tmp_path: Path) -> None:
    for row in range(20):
        draw(tmp_path / "happy" / f"{row}.png", row % 10)
        draw(tmp_path / "sad" / f"{row}.png", 100 + row % 10)
    dataset = load(tmp_path)
    assert dataset.census["usable"].duplicates == 20
    assert dataset.census["usable"].leaked == {"validation": 0, "test": 0}


def jaffe_folder(root: Path, subjects: int = 10) -> Path:
    for person in range(subjects):
        for number, code in enumerate(("AN", "DI", "FE", "HA", "NE", "SA", "SU")):
            name = f"{chr(65 + person)}A.{code}1.{7 * person + number}.tiff"
            draw(root / name, 7 * person + number, (64, 64))
    return root


def test_jaffe_codes_become_labels_and_people_stay_together(tmp_path: Path) -> None:
    dataset = load(jaffe_folder(tmp_path))
    assert dataset.name == "JAFFE"
    assert dataset.labels.source == "fer2013-7"
    for name, count in (("train", 8), ("validation", 1), ("test", 1)):
        assert np.bincount(dataset.splits[name].labels).tolist() == [count] * 7


def test_jaffe_offers_the_smaller_label_sets(tmp_path: Path) -> None:
    dataset = load(jaffe_folder(tmp_path), "basic-5-neutral")
    assert np.bincount(dataset.split("train").labels).tolist() == [8] * 6
    assert dataset.dropped["train"] == {"disgust": 8}


def test_jaffe_refuses_a_foreign_name(tmp_path: Path) -> None:
    draw(jaffe_folder(tmp_path, 1) / "KA.XX1.39.tiff", 5)
    with pytest.raises(InputError, match=r"KA\.XX1\.39\.tiff: the name is none of JAFFE's"):
        load(tmp_path)


LABEL_LINE = '{name},"(0, 0, 48, 48)",{votes}\n'


def ferplus_folders(root: Path) -> Path:
    votes = ("8,2,0,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,2,8", "0,5,5,0,0,0,0,0,0,0")
    for part, split in enumerate(("FER2013Train", "FER2013Valid", "FER2013Test")):
        names = [f"fer{10 * part + row:07d}.png" for row in range(3)]
        for row, name in enumerate(names):
            draw(root / split / name, 10 * part + row)
        lines = (LABEL_LINE.format(name=name, votes=v) for name, v in zip(names, votes, strict=True))
        (root / split / "label.csv").write_text("".join(lines))
    return root


def test_ferplus_folders_are_read_by_the_votes_rule(tmp_path: Path) -> None:
    dataset = load(ferplus_folders(tmp_path))
    assert dataset.labels.source == "ferplus-9"
    for name, rows in dataset.splits.items():
        assert rows.labels.tolist() == [0, 1]
        assert dataset.dropped[name] == {"not a face": 1}
        assert dataset.ties[name] == 1


def test_ferplus_folders_cut_the_face_box(tmp_path: Path) -> None:
    labels = ferplus_folders(tmp_path) / "FER2013Train" / "label.csv"
    whole = load(tmp_path).split("train").pixels
    labels.write_text(labels.read_text().replace("(0, 0, 48, 48)", "(8, 4, 32, 28)"))
    cut = load(tmp_path, size=(24, 24)).split("train").pixels
    np.testing.assert_array_equal(cut[0], whole[0, 4:28, 8:32])


def test_ferplus_folders_may_end_their_lines_with_a_comma(tmp_path: Path) -> None:
    labels = ferplus_folders(tmp_path) / "FER2013Train" / "label.csv"
    labels.write_text(labels.read_text().replace("\n", ",\n"))
    assert load(tmp_path).split("train").labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(0, 0, 48, 48)", "(0, 0, 49, 48)", r"\(0, 0, 49, 48\) is not within 48x48"),
        ("(0, 0, 48, 48)", "(0; 0)", "line 1: .* is no face box"),
        ("8,2,0", "8,x,0", "line 1: a vote is no whole number"),
        ("fer0000001.png", "fer0000099.png", r"fer0000099\.png: cannot be read"),
    ],
)
def test_ferplus_folders_name_what_is_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    labels = ferplus_folders(tmp_path) / "FER2013Train" / "label.csv"
    labels.write_text(labels.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("twins", [("Happy", "happy"), ("gl\u00fccklich", "glu\u0308cklich")])
def test_one_class_written_in_two_ways_is_named(tmp_path: Path, twins: tuple[str, str]) -> None:
    class_folders(tmp_path / "train", (twins[0], "sad"), 4)
    class_folders(tmp_path / "test", (twins[1], "sad"), 2)
    with pytest.raises(InputError, match="are one name written in two ways; rename one of them"):
        load(tmp_path)
