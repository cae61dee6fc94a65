"""A folder a class, images in them; with or without a level of splits above."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefer.datasets import pictures
from edgefer.datasets.assembly import Fingerprints, Rows, assemble, one_hot
from edgefer.datasets.base import Dataset, Reader
from edgefer.datasets.labels import LABEL_SETS, class_number
from edgefer.datasets.splitting import Numbers, deal, group, subject
from edgefer.errors import InputError
from edgefer.spec import LabelSet

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
_OWN_NAMES = "folder"


@dataclass(frozen=True)
class _Listing:
    """Files, their class folders' names and, where the layout has splits, split numbers; of one length."""

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    parts: tuple[int, ...] | None


def finds(path: Path) -> bool:
    """Whether there are folders with images in them, one or two levels down; FER+ has a layout of its own."""
    if not path.is_dir():
        return False
    return any(_holds_pictures(folder) for root in _class_roots(path) for folder in _folders(root))


def _holds_pictures(folder: Path) -> bool:
    return not (folder / "label.csv").exists() and any(map(pictures.is_picture, folder.iterdir()))


def _folders(path: Path) -> list[Path]:
    return sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))


def _split_folders(path: Path) -> list[Path]:
    """The folders named like splits, if all are; else none."""
    folders = _folders(path)
    return folders if folders and all(folder.name.lower() in SPLIT_NAMES for folder in folders) else []


def _class_roots(path: Path) -> list[Path]:
    return _split_folders(path) or [path]


def _list(path: Path) -> _Listing:
    roots = _class_roots(path)
    folders = [folder for root in roots for folder in _folders(root)]
    found = [(file, folder) for folder in folders for file in pictures.pictures_in(folder)]
    files, classes = tuple(file for file, _ in found), tuple(folder.name for _, folder in found)
    if roots == [path]:
        return _Listing(files, classes, None)
    return _Listing(files, classes, tuple(SPLIT_NAMES[folder.parent.name.lower()] for _, folder in found))


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Dataset:
    """Read all images; see ``Reader``.

    Without split folders the rows are cut 80:10:10, and with a missing validation folder a tenth of the
    training rows becomes validation: stratified, by subject where file names carry one, never an image on two
    sides.

    Raises:
        InputError: an image is damaged, a folder's name is no class of ``label_set``, or there is no training
            folder.
    """
    listing = _list(path)
    labels = _label_set(listing, label_set)
    numbers = _numbers(listing, labels, label_set)
    pixels, prints = pictures.decode(listing.files, size, channels)
    parts = _parts(listing, numbers, prints, path)
    rows = Rows(pixels, prints, parts, numbers, one_hot(numbers, len(labels)))
    return assemble(path.resolve().name, labels, rows)


def _label_set(listing: _Listing, label_set: str) -> LabelSet:
    if label_set != _OWN_NAMES:
        return LABEL_SETS[label_set]
    names = tuple(sorted(set(listing.classes)))
    if len(names) < 2:
        raise InputError(f"{listing.files[0].parent} is the only class folder", hint="two classes are needed")
    return LabelSet(source=_OWN_NAMES, names=names)


def _numbers(listing: _Listing, labels: LabelSet, label_set: str) -> Numbers:
    if label_set == _OWN_NAMES:
        return np.array([labels.names.index(name) for name in listing.classes], np.int64)
    folders = {file.parent for file in listing.files}
    number_of = {folder: class_number(folder.name, labels, str(folder)) for folder in sorted(folders)}
    return np.array([number_of[file.parent] for file in listing.files], np.int64)


def _parts(listing: _Listing, labels: Numbers, prints: Fingerprints, path: Path) -> Numbers:
    groups = group([subject(file.name) for file in listing.files], prints)
    if listing.parts is None:
        return deal(labels, groups)
    parts = np.array(listing.parts, np.int64)
    train = np.flatnonzero(parts == 0)
    if not len(train):
        raise InputError(f"{path} has no training images", hint="they belong in train/<class>/")
    if not (parts == 1).any():
        parts[train] = deal(labels[train], np.unique(groups[train], return_inverse=True)[1], (0.9, 0.1))
    return parts


READERS = (
    Reader(
        id="class-folder",
        layout="a folder a class with images in it, perhaps below train/, validation/ and test/",
        label_sets=(_OWN_NAMES, *LABEL_SETS),
        finds=finds,
        sources=lambda path: _list(path).files,
        read=read,
    ),
)
