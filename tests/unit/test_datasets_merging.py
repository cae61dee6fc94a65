"""Sets merged as a recipe says: found, split without leaks, told apart afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgefer.cli.recipe_data import load_and_tell
from edgefer.datasets.base import SPLITS, Dataset, Parsed
from edgefer.datasets.inspection import inspect
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.loading import load, load_for, plan, plan_for
from edgefer.datasets.merging import How, merge
from edgefer.errors import InputError, SettingError
from edgefer.recipe import DataPart
from tests.unit.dataset_samples import face, save, write_all, write_ck, write_fer2013, write_jaffe


def part(*sets: str, labels: str = "fer2013-7", **more: object) -> DataPart:
    return DataPart(labels=labels, sets=sets, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("sets"))


def rows_of(dataset: Dataset, name: str) -> list[int]:
    """Rows of one set in each split."""
    number = dataset.sets.index(name)
    return [int((rows.sources == number).sum()) for rows in dataset.splits.values()]


def test_sets_keep_their_own_parts_and_the_others_are_dealt(root: Path) -> None:
    dataset = load_for(root, part("fer2013", "ck+", "jaffe"))
    assert dataset.name == "FER2013 + CK+48 + JAFFE"
    assert dataset.sets == ("fer2013", "ck+", "jaffe")
    assert rows_of(dataset, "fer2013") == [8, 3, 3]
    assert rows_of(dataset, "jaffe") == [56, 7, 7]
    assert sum(rows_of(dataset, "ck+")) == 39
    assert sum(reasons.get("contempt", 0) for reasons in dataset.dropped.values()) == 21
    np.testing.assert_array_equal(dataset.split("validation").pixels[0, :, :, 0], face(8))


def test_a_set_that_a_link_names_is_found(tmp_path: Path) -> None:
    """The link is called what the recipe asks for, wherever the pictures are."""
    write_ck(elsewhere := tmp_path / "cohn-kanade-2019")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "CK+48").symlink_to(elsewhere)
    assert load_for(tmp_path / "data", part("ck+")).name == "CK+48"


def test_images_of_all_sizes_are_brought_to_one(root: Path) -> None:
    pixels = load_for(root, part("fer2013", "jaffe"), size=(32, 32), channels=3).split("train").pixels
    assert pixels.shape == (64, 32, 32, 3)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_the_same_faces_are_known_again_at_another_size(root: Path) -> None:
    usual, small = (load_for(root, part("fer2013"), size=(side, side)).split("test") for side in (48, 32))
    assert usual.sha256 != small.sha256
    assert usual.faces_sha256 == small.faces_sha256 != usual.take(np.arange(2)).faces_sha256


def test_rows_of_merged_sets_are_those_of_the_single_ones(root: Path) -> None:
    merged = load_for(root, part("fer2013", "ck+", labels="basic-6"))
    alone = {"fer2013": load(root / "fer2013.csv", "basic-6"), "ck+": load(root / "CK+48", "basic-6")}
    for split in SPLITS:
        rows = merged.split(split)
        for number, name in enumerate(merged.sets):
            assert rows.take(rows.sources == number).sha256 == alone[name].split(split).sha256


def test_grouped_deals_all_rows_anew_by_set(root: Path) -> None:
    dataset = load_for(root, part("fer2013", "ck+", "jaffe", split="grouped", shares=(0.6, 0.2, 0.2)))
    assert rows_of(dataset, "jaffe") == [42, 14, 14]
    assert all(count > 0 for name in ("ck+", "jaffe") for count in rows_of(dataset, name))
    owners = [set(map(person_of, pictures(dataset, split, "ck+"))) for split in SPLITS]
    assert sum(map(len, owners)) == len(set.union(*owners))


def pictures(dataset: Dataset, split: str, name: str) -> list[bytes]:
    rows = dataset.splits[split]  # type: ignore[index]
    return [image.tobytes() for image in rows.pixels[rows.sources == dataset.sets.index(name)]]


PEOPLE = {face(1000 + number).tobytes(): number // 3 for number in range(60)}


def person_of(image: bytes) -> int:
    return PEOPLE[image]


def test_one_layout_can_be_dealt_anew_too(root: Path) -> None:
    grouped = part(labels="basic-6", split="grouped", shares=(0.6, 0.2, 0.2))
    assert [len(rows) for rows in load_for(root / "jaffe", grouped).splits.values()] == [36, 12, 12]
    csv = [len(rows) for rows in load_for(root / "fer2013.csv", grouped).splits.values()]
    assert sum(csv) == 12
    assert csv != [len(rows) for rows in load(root / "fer2013.csv", "basic-6").splits.values()]


def test_without_sets_nothing_changes(root: Path) -> None:
    plain, asked = plan(root / "CK+48", "ferplus-8"), plan_for(root / "CK+48", part(labels="ferplus-8"))
    assert plain.entry == asked.entry
    dataset = plain.load()
    assert dataset.sets == ("CK+48",)
    assert not dataset.split("train").sources.any()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Every FER2013 image stands in CK+ as well, as a file."""
    write_fer2013(tmp_path, iter(range(1000, 1042, 3)))
    write_ck(tmp_path / "CK+48")
    return tmp_path


def test_an_image_in_two_sets_is_marked_where_it_leaks(copied: Path) -> None:
    dataset = load_for(copied, part("fer2013", "ck+"))
    train = {image.tobytes() for image in dataset.split("train").pixels}
    for split in ("validation", "test"):
        rows = dataset.split(split)  # type: ignore[arg-type]
        assert rows.leaked.tolist() == [image.tobytes() in train for image in rows.pixels]
    assert dataset.split("test").leaked.any()


def test_grouped_keeps_an_image_of_two_sets_in_one_part(copied: Path) -> None:
    dataset = load_for(copied, part("fer2013", "ck+", split="grouped"))
    found = [{image.tobytes() for image in rows.pixels} for rows in dataset.splits.values()]
    assert sum(map(len, found)) == len(set.union(*found))
    assert dataset.census["usable"].leaked == {"validation": 0, "test": 0}
    assert dataset.census["usable"].duplicates > 0


def test_a_set_that_is_not_there_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    write_fer2013(tmp_path)
    with pytest.raises(InputError, match=r"holds no ck\+: looked for a folder whose name starts with CK\+"):
        load_for(tmp_path, part("fer2013", "ck+"))


def test_an_optional_set_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fer2013(tmp_path)
    load_and_tell(str(tmp_path), part("fer2013", optional=("affectnet", "jaffe")))
    assert capsys.readouterr().err == "optional and not found: affectnet, jaffe\n"


def test_optional_sets_are_taken_where_they_are(tmp_path: Path) -> None:
    write_fer2013(tmp_path)
    asked = part("fer2013", optional=("affectnet", "jaffe"))
    first = load_for(tmp_path, asked)
    assert (first.sets, first.absent) == (("fer2013",), ("affectnet", "jaffe"))
    write_jaffe(tmp_path / "JAFFE_images")
    second = load_for(tmp_path, asked)
    assert (second.sets, second.absent) == (("fer2013", "jaffe"), ("affectnet",))


def test_affectnet_folders_may_be_numbers(tmp_path: Path) -> None:
    for number in range(8):
        for row in range(10):
            save(tmp_path / "AffectNet" / str(number) / f"{row}.png", face(100 * number + row))
    dataset = load_for(tmp_path, part("affectnet", labels="basic-5-neutral"))
    assert np.bincount(dataset.split("train").labels).tolist() == [8] * 6
    happy = {face(100 + row).tobytes() for row in range(10)}
    rows = dataset.split("train")
    assert {image.tobytes() for image in rows.pixels[rows.labels == 2]} <= happy


@pytest.mark.parametrize(
    ("asked", "message", "key"),
    [
        (part("fer2013", "ck"), r"unknown set 'ck'; did you mean 'ck\+'\?", "data.sets"),
        (part("fer2013", optional=("jafe",)), "unknown set 'jafe'; did you mean 'jaffe'", "data.optional"),
        (part("fer2013", "ck+", labels="folder"), "'folder' is no label set that sets can be", "data.labels"),
    ],
)
def test_a_wrong_name_is_a_wrong_setting(root: Path, asked: DataPart, message: str, key: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        load_for(root, asked)
    assert caught.value.key == key


def test_a_label_set_that_a_set_does_not_offer(root: Path) -> None:
    with pytest.raises(InputError, match="offers no label set 'ferplus-8'"):
        load_for(root, part("fer2013", "ck+", labels="ferplus-8"))


def test_a_set_that_stands_there_twice_is_not_guessed(tmp_path: Path) -> None:
    write_ck(tmp_path / "CK+48")
    write_ck(tmp_path / "ck+old")
    with pytest.raises(InputError, match=r"ck\+ stands in .*CK\+48 and in .*ck\+old"):
        load_for(tmp_path, part("ck+"))


@pytest.mark.parametrize("place", ["synthetic", "fer2013.csv"])
def test_sets_are_looked_for_in_a_folder(root: Path, place: str) -> None:
    with pytest.raises(InputError, match="is no folder; the sets of a recipe are found below a folder"):
        load_for(place if place == "synthetic" else root / place, part("fer2013"))


def test_pictures_beside_a_csv_are_another_set(root: Path) -> None:
    assert plan(root).sources[0].reader.id == "fer2013"


def test_an_inspection_counts_sets(root: Path) -> None:
    dataset = load_for(root, part("fer2013", "jaffe", optional=("affectnet",)))
    found = inspect(dataset)
    assert found.absent == ("affectnet",)
    assert found.splits["train"].sets["jaffe"] == dict.fromkeys(LABEL_SETS["fer2013-7"].names, 8)
    for split in found.splits.values():
        assert split.rows == sum(sum(classes.values()) for classes in split.sets.values())


def test_a_merged_set_is_cached_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan_for(root, part("fer2013", "jaffe", optional=("affectnet",)))
    first = planned.load()
    monkeypatch.setattr("edgefer.datasets.loading.merge", None)
    again = planned.load()
    assert (again.sets, again.absent) == (first.sets, first.absent)
    for name, rows in first.splits.items():
        np.testing.assert_array_equal(rows.sources, again.split(name).sources)
        np.testing.assert_array_equal(rows.prints, again.split(name).prints)


def test_the_way_of_splitting_has_an_entry_of_its_own(root: Path) -> None:
    ways = (
        part("ck+"),
        part("ck+", split="grouped"),
        part("ck+", shares=(0.6, 0.2, 0.2)),
        part("ck+", "jaffe"),
    )
    assert len({plan_for(root, way).entry for way in ways}) == len(ways)
    assert [load_for(root, way).dealt for way in ways] == [way.split for way in ways]


Row = tuple[int, str | None, int]
people = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.sampled_from("ABCD")), st.integers(0, 40)),
    min_size=1,
    max_size=40,
)


def parsed(rows: Sequence[Row], name: str) -> Parsed:
    """Rows of class, subject and image; class 3 is left out. A row's one pixel is its number."""
    labels = np.array([label for label, _, _ in rows], np.int64)
    foreign = labels == 3
    return Parsed(
        name=name,
        label_set=LABEL_SETS["basic-6"],
        pixels=np.arange(len(rows), dtype=np.uint8).reshape(-1, 1, 1, 1),
        prints=np.array([image for _, _, image in rows], np.uint64),
        labels=np.where(foreign, 0, labels),
        soft=np.eye(6, dtype=np.float32)[labels],
        parts=None,
        subjects=tuple(person for _, person, _ in rows),
        dropped={"contempt": foreign},
    )


@given(first=people, second=people, shares=st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2)]))
def test_grouped_separates_no_subject_and_no_image(
    first: list[Row], second: list[Row], shares: tuple[float, float, float]
) -> None:
    sets = [parsed(first, "a"), parsed(second, "b")]
    kept = [row for row in (*first, *second) if row[0] != 3]
    assume(kept)
    dataset = merge(sets, ("a", "b"), How("grouped", shares))
    assert sum(map(len, dataset.splits.values())) == len(kept)
    parts_of: dict[object, set[str]] = {}
    for split, found in dataset.splits.items():
        for source, number in zip(found.sources.tolist(), found.pixels.ravel().tolist(), strict=True):
            label, person, image = (first, second)[source][number]
            assert label != 3
            parts_of.setdefault(image, set()).add(split)
            if person:
                parts_of.setdefault((source, person), set()).add(split)
    assert all(len(parts) == 1 for parts in parts_of.values())
    assert not any(found.leaked.any() for found in dataset.splits.values())


@given(counts=st.tuples(st.integers(10, 60), st.integers(10, 60)), labels=st.integers(1, 3))
def test_grouped_gives_each_set_and_class_its_share_of_each_part(
    counts: tuple[int, int], labels: int
) -> None:
    first, second = (
        [(row % labels, None, 100 * number + row) for row in range(count)]
        for number, count in enumerate(counts)
    )
    dataset = merge([parsed(first, "a"), parsed(second, "b")], ("a", "b"), How("grouped"))
    for number, rows in enumerate((first, second)):
        for label in range(labels):
            expected = np.array([0.8, 0.1, 0.1]) * sum(row[0] == label for row in rows)
            found = [count_of(dataset, split, number, label) for split in SPLITS]
            assert np.all(np.abs(found - expected) <= 1)


def count_of(dataset: Dataset, split: str, source: int, label: int) -> int:
    rows = dataset.splits.get(split)  # type: ignore[call-overload]
    return 0 if rows is None else int(((rows.sources == source) & (rows.labels == label)).sum())
