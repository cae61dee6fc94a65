"""FER2013 and FER+ from CSV files."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgefer.datasets.loading import load
from edgefer.errors import InputError

USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest", "PrivateTest")
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def text(seed: int) -> str:
    return " ".join(map(str, image(seed).ravel().tolist()))


def plain_rows() -> list[str]:
    return [f"{row % 7},{text(row)},{usage}" for row, usage in enumerate(USAGES)]


def write_csv(folder: Path, rows: Sequence[str], header: str = "emotion,pixels,Usage") -> Path:
    file = folder / "fer2013.csv"
    file.write_text("\n".join((header, *rows)) + "\n")
    return file


def write_votes(folder: Path, votes: Sequence[str], usages: Sequence[str] = USAGES) -> Path:
    rows = (f"{usage},fer{row:07d}.png,{v}" for row, (usage, v) in enumerate(zip(usages, votes, strict=True)))
    file = folder / "fer2013new.csv"
    file.write_text("\n".join((VOTES_HEADER, *rows)) + "\n")
    return file


def test_fer2013_rows_stand_in_their_splits_in_file_order(tmp_path: Path) -> None:
    dataset = load(write_csv(tmp_path, plain_rows()))
    assert dataset.labels.source == "fer2013-7"
    assert dataset.labels.names[0] == "anger"
    sizes = {name: len(rows) for name, rows in dataset.splits.items()}
    assert sizes == {"train": 3, "validation": 1, "test": 2}
    assert dataset.split("test").labels.tolist() == [4, 5]
    np.testing.assert_array_equal(dataset.split("test").pixels[1, :, :, 0], image(5))
    assert dataset.split("train").pixels.dtype == np.uint8
    assert dataset.split("train").soft.tolist()[2] == [0, 0, 1, 0, 0, 0, 0]


def test_the_other_column_order_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "icml").mkdir()
    rows = [f"{row % 7}, {usage},{text(row)}" for row, usage in enumerate(USAGES)]
    other = write_csv(tmp_path / "icml", rows, "emotion, Usage, pixels")
    other = other.rename(other.with_name("icml_face_data.csv"))
    first = load(write_csv(tmp_path, plain_rows()))
    for name, rows_read in load(other.parent).splits.items():
        assert rows_read.sha256 == first.split(name).sha256


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zip"])
def test_every_compression_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    plain = write_csv(tmp_path, plain_rows())
    packed = tmp_path / "packed" / f"fer2013.csv{suffix}"
    packed.parent.mkdir()
    if suffix == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(plain, "fer2013.csv")
    else:
        packed.write_bytes(PACKERS[suffix](plain.read_bytes()))
    assert load(packed.parent).split("train").sha256 == load(plain).split("train").sha256


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"0,{text(9)[:-8]},Training", r"line 4: 230\d pixels where 2304 are expected"),
        ("0,,Training", "line 4: 0 pixels where 2304"),
        (f"7,{text(9)},Training", "line 4: unknown emotion '7'"),
        (f"0,{text(9)},Trainin", "line 4: unknown Usage 'Trainin'"),
        (f"0,{text(9)} 256,Training", "line 4: 2305 pixels"),
        (f"0,300 {text(9).split(' ', 1)[1]},Training", "line 4: a pixel is outside 0..255"),
        (f"0,-1 {text(9).split(' ', 1)[1]},Training", "line 4: a pixel is outside 0..255"),
        (f"0,x {text(9).split(' ', 1)[1]},Training", "line 4: a pixel is no whole number"),
        (f"0,1.5 {text(9).split(' ', 1)[1]},Training", "line 4: a pixel is no whole number"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, message: str) -> None:
    rows = plain_rows()
    rows[2] = row
    with pytest.raises(InputError, match=message):
        load(write_csv(tmp_path, rows))


@pytest.mark.parametrize("commas", [",", ",,,"])
def test_empty_fields_at_the_end_of_every_line_change_nothing(tmp_path: Path, commas: str) -> None:
    (tmp_path / "plain").mkdir()
    plain = load(write_csv(tmp_path / "plain", plain_rows()))
    ended = load(write_csv(tmp_path, [row + commas for row in plain_rows()]))
    assert {name: rows.sha256 for name, rows in ended.splits.items()} == {
        name: rows.sha256 for name, rows in plain.splits.items()
    }


def test_a_filled_field_beyond_the_columns_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [row + "," for row in plain_rows()]
    rows[2] += "mine"
    with pytest.raises(InputError, match=r"fer2013\.csv line 4: more fields than the table's 3 columns"):
        load(write_csv(tmp_path, rows))


def test_a_row_number_that_the_header_does_not_name_is_refused(tmp_path: Path) -> None:
    rows = [f"{number},{row}" for number, row in enumerate(plain_rows())]
    with pytest.raises(
        InputError, match=r"line 2: more fields than the table's 3 columns; is there a row num"
    ):
        load(write_csv(tmp_path, rows))


def test_blank_lines_do_not_shift_the_line_numbers(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[1:2] = ["", "9,1 2 3,Training"]
    with pytest.raises(InputError, match="line 4: unknown emotion '9'"):
        load(write_csv(tmp_path, rows))
    assert len(load(write_csv(tmp_path, [*plain_rows(), "", ""])).split("train")) == 3


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'Usage'; it has: emotion, pixels"):
        load(write_csv(tmp_path, [f"0,{text(1)}"], "emotion,pixels"))


NO_FER2013 = (b"", b"emotion,pixels,Usage\n", b"\xff\xfe\x00", b'emotion,pixels\n"0,1')


@pytest.mark.parametrize("content", NO_FER2013)
def test_a_file_that_is_no_fer2013_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fer2013.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"fer2013\.csv"):
        load(file)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_a_truncated_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    packed = tmp_path / f"fer2013.csv{suffix}"
    packed.write_bytes(PACKERS.get(suffix, gzip.compress)("\n".join(plain_rows()).encode())[:-40])
    with pytest.raises(InputError, match="cannot be read as a CSV"):
        load(packed)


def test_two_fer2013_files_in_a_folder_are_not_guessed_between(tmp_path: Path) -> None:
    plain = write_csv(tmp_path, plain_rows())
    (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(InputError, match=r"holds fer2013\.csv, fer2013\.csv\.gz"):
        load(tmp_path)
    assert len(load(plain).split("test")) == 2


def test_smaller_label_sets_leave_rows_out(tmp_path: Path) -> None:
    dataset = load(write_csv(tmp_path, plain_rows()), "basic-5-neutral")
    assert dataset.labels.names == ("anger", "fear", "happiness", "sadness", "surprise", "neutral")
    assert dataset.split("train").labels.tolist() == [0, 1]
    assert dataset.split("test").labels.tolist() == [3, 4]
    assert dataset.dropped == {"train": {"disgust": 1}, "validation": {}, "test": {}}


def test_repeated_images_are_counted_and_marked_as_leaked(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[4] = f"3,{text(0)},PrivateTest"
    dataset = load(write_csv(tmp_path, rows))
    assert dataset.split("test").leaked.tolist() == [True, False]
    assert not dataset.split("train").leaked.any()
    assert dataset.census["file"].duplicates == 1
    assert dataset.census["usable"].leaked == {"validation": 0, "test": 1}


def test_size_and_channels_are_brought_about(tmp_path: Path) -> None:
    pixels = load(write_csv(tmp_path, plain_rows()), size=(64, 32), channels=3).split("train").pixels
    assert pixels.shape == (3, 64, 32, 3)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


VOTES = (
    "4,0,0,1,3,2,0,0,0,0",  # neutral
    "0,5,0,0,5,0,0,0,0,0",  # happiness ties with anger: the first wins
    "0,0,0,0,0,0,0,0,8,2",  # unknown
    "0,0,5,0,0,0,0,0,0,5",  # surprise ties with no face: the class wins
    "0,0,0,0,0,0,0,0,0,10",  # no face
    "0,0,0,0,0,0,0,9,1,0",  # contempt
)


def test_ferplus_takes_the_most_voted_class(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    write_votes(tmp_path, VOTES)
    dataset = load(tmp_path)
    assert dataset.labels.source == "ferplus-9"
    assert dataset.split("train").labels.tolist() == [0, 1, 8]
    assert dataset.split("validation").labels.tolist() == [2]
    assert dataset.split("test").labels.tolist() == [7]
    np.testing.assert_array_equal(dataset.split("test").pixels[0, :, :, 0], image(5))
    assert dataset.dropped == {"train": {}, "validation": {}, "test": {"not a face": 1}}
    assert dataset.ties == {"train": 1, "validation": 1, "test": 0}
    np.testing.assert_allclose(dataset.split("train").soft[2], [0] * 8 + [1])
    np.testing.assert_allclose(dataset.split("train").soft[0], [0.4, 0, 0, 0.1, 0.3, 0.2, 0, 0, 0])


def test_ferplus_8_drops_what_nobody_knows(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    votes = write_votes(tmp_path, VOTES)
    dataset = load(votes, "ferplus-8")
    assert dataset.split("train").labels.tolist() == [0, 1]
    assert dataset.dropped["train"] == {"unknown": 1}
    assert dataset.split("test").soft.tolist() == [[0, 0, 0, 0, 0, 0, 0, 1]]


def test_ferplus_drops_rows_without_an_image_name(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    votes = write_votes(tmp_path, VOTES)
    votes.write_text(votes.read_text().replace("fer0000001.png", ""))
    dataset = load(tmp_path)
    assert dataset.split("train").labels.tolist() == [0, 8]
    assert dataset.dropped["train"] == {"no image name": 1}
    assert dataset.census["file"].rows["train"] == 3


def test_the_seven_labels_stay_available_next_to_votes(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    write_votes(tmp_path, VOTES)
    assert len(load(tmp_path, "fer2013-7").split("test")) == 2


def test_ferplus_refuses_files_of_different_length(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    write_votes(tmp_path, VOTES[:-1], USAGES[:-1])
    with pytest.raises(InputError, match=r"fer2013\.csv has 6 rows, .*fer2013new\.csv has 5"):
        load(tmp_path)


def test_ferplus_refuses_another_order_of_rows(tmp_path: Path) -> None:
    write_csv(tmp_path, plain_rows())
    write_votes(tmp_path, VOTES, (*USAGES[:3], "PrivateTest", "PublicTest", "PrivateTest"))
    with pytest.raises(InputError, match=r"row 4: .* different Usages"):
        load(tmp_path)


@pytest.mark.parametrize("cell", ["x", "", "-1", "1.5"])
def test_a_vote_that_is_no_number_is_named_by_its_line(tmp_path: Path, cell: str) -> None:
    write_csv(tmp_path, plain_rows())
    write_votes(tmp_path, (*VOTES[:2], f"{cell},0,0,0,0,0,0,0,8,2", *VOTES[3:]))
    with pytest.raises(InputError, match="line 4: a vote is no whole number"):
        load(tmp_path)
