"""A folder a class, images in them; with or without a level of splits above."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgefer.datasets import pictures
from edgefer.datasets.assembly import one_hot
from edgefer.datasets.base import Parsed, Reader
from edgefer.datasets.labels import LABEL_SETS, SINGLE_LABEL_SETS, codes_of, meaning, numbers_of
from edgefer.datasets.splitting import Numbers, deal, group, strata, subject
from edgefer.errors import InputError
from edgefer.files import name_of
from edgefer.spec import LabelSet

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
_OWN_NAMES = "folder"
# What macOS puts into a ZIP file beside the folders.
_NO_FOLDERS = ("__MACOSX",)


@dataclass(frozen=True)
class _Listing:
    """Files, their class folders' names and, where the layout has splits, split numbers; of one length.

    ``skipped`` are files in class folders that are no pictures.
    """

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    parts: tuple[int, ...] | None
    skipped: tuple[Path, ...]


def finds(path: Path) -> bool:
    """Whether there are folders with images in them, one or two levels down; FER+ has a layout of its own."""
    if not path.is_dir():
        return False
    return any(_holds_pictures(folder) for root in _class_roots(path) for folder in _folders(root))


def _holds_pictures(folder: Path) -> bool:
    return not (folder / "label.csv").exists() and any(map(pictures.is_picture, folder.iterdir()))


def _folders(path: Path) -> list[Path]:
    folders = (item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
    return sorted(folder for folder in folders if folder.name not in _NO_FOLDERS)


def _split_folders(path: Path) -> list[Path]:
    """The folders named like splits, if all are; else none."""
    folders = _folders(path)
    return folders if folders and all(folder.name.lower() in SPLIT_NAMES for folder in folders) else []


def _class_roots(path: Path) -> list[Path]:
    return _split_folders(path) or [path]


def _list(path: Path) -> _Listing:
    roots = _class_roots(path)
    folders = [folder for root in roots for folder in _folders(root)]
    found = [(file, folder) for folder in folders for file in _pictures_of(folder)]
    files, classes = tuple(file for file, _ in found), tuple(folder.name for _, folder in found)
    skipped = tuple(file for folder in folders for file in pictures.others_in(folder))
    if roots == [path]:
        return _Listing(files, classes, None, skipped)
    parts = tuple(SPLIT_NAMES[folder.parent.name.lower()] for _, folder in found)
    return _Listing(files, classes, parts, skipped)


def _pictures_of(folder: Path) -> list[Path]:
    """A class's pictures; a class that has none, or some where nobody looks, would be missed in silence."""
    deeper = [inner for inner in _folders(folder) if pictures.pictures_in(inner)]
    if deeper:
        raise InputError(
            f"{deeper[0]} holds pictures one level deeper than class folders do",
            hint="put a class's pictures directly into its folder",
        )
    found = pictures.pictures_in(folder)
    if not found:
        raise InputError(
            f"{folder} holds no pictures", hint=f"fill or remove it; read are {', '.join(pictures.SUFFIXES)}"
        )
    return found


def read(path: Path, label_set: str, size: tuple[int, int], channels: int) -> Parsed:
    """Read all images; see ``Reader``.

    With split folders but none for validation, a tenth of the training rows becomes validation: stratified,
    by subject where file names carry one, never an image on two sides.

    Raises:
        InputError: an image is damaged, a folder's name means no expression or there are no pictures directly in it,
            or there is no training folder.
    """
    listing = _list(path)
    labels = _label_set(listing, label_set)
    numbers, dropped = numbers_of(_names(listing, labels, path), labels)
    pixels, prints = pictures.decode(listing.files, size, channels)
    parsed = Parsed(
        name=name_of(path),
        label_set=labels,
        pixels=pixels,
        prints=prints,
        labels=numbers,
        soft=one_hot(numbers, len(labels)),
        parts=None,
        subjects=tuple(subject(file.name) for file in listing.files),
        dropped=dropped,
        skipped=dict(Counter(file.suffix.lower() or file.name for file in listing.skipped)),
    )
    return parsed if listing.parts is None else replace(parsed, parts=_parts(listing.parts, parsed, path))


def _label_set(listing: _Listing, label_set: str) -> LabelSet:
    if label_set != _OWN_NAMES:
        return LABEL_SETS[label_set]
    names = tuple(sorted(set(listing.classes)))
    _refuse_twins(names, listing.files[0].parent)
    if len(names) < 2:
        raise InputError(f"{listing.files[0].parent} is the only class folder", hint="two classes are needed")
    return LabelSet(source=_OWN_NAMES, names=names)


def _refuse_twins(names: Sequence[str], place: Path) -> None:
    """Train/Happy and test/happy are hardly meant to be two classes; nor is an accent that a Mac writes its own way."""
    first: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        if first.setdefault(folded, name) != name:
            raise InputError(
                f"{place.parent}: the class folders {first[folded]!r} and {name!r} are one name written in two ways",
                hint="rename one of them",
            )


def _names(listing: _Listing, labels: LabelSet, path: Path) -> list[str]:
    """The class name of each file: its folder's own, or what that means."""
    if labels.source == _OWN_NAMES:
        return list(listing.classes)
    codes = codes_of(name_of(path))
    folders = sorted({file.parent for file in listing.files})
    meanings = {folder: meaning(folder.name, labels, str(folder), codes) for folder in folders}
    return [meanings[file.parent] for file in listing.files]


def _parts(given: tuple[int, ...], parsed: Parsed, path: Path) -> Numbers:
    parts = np.array(given, np.int64)
    train = np.flatnonzero(parts == 0)
    if not len(train):
        raise InputError(f"{path} has no training images", hint="they belong in train/<class>/")
    if not (parts == 1).any():
        classes, groups = strata(parsed), group(parsed.subjects, parsed.prints)
        parts[train] = deal(classes[train], np.unique(groups[train], return_inverse=True)[1], (0.9, 0.1))
    return parts


def sources(path: Path) -> tuple[Path, ...]:
    """All files in class folders: those that are skipped are counted."""
    listing = _list(path)
    return (*listing.files, *listing.skipped)


READERS = (
    Reader(
        id="class-folder",
        layout="a folder a class with images in it, perhaps below train/, validation/ and test/",
        label_sets=(_OWN_NAMES, *SINGLE_LABEL_SETS),
        finds=finds,
        sources=sources,
        read=read,
        # Beside a CSV or JAFFE's images, a folder of pictures is another data set and not a class.
        rank=-1,
    ),
)
