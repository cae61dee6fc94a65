"""The sets that a recipe can name, and how each is recognised below the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgefer.datasets.base import Reader
from edgefer.errors import InputError
from edgefer.files import name_of
from edgefer.registry import discover


@dataclass(frozen=True)
class KnownSet:
    """A set by name.

    It is a folder whose name starts with ``prefix`` (upper and lower case are one) and that one of ``readers``
    understands, directly below the data folder or the data folder itself. Those of ``readers`` in ``by_content``
    recognise the set in a data folder of any name. ``layout`` says so in words.
    """

    id: str
    layout: str
    prefix: str
    readers: tuple[str, ...]
    by_content: tuple[str, ...] = ()


SETS = {
    known.id: known
    for known in (
        KnownSet(
            id="fer2013",
            layout="fer2013.csv or icml_face_data.csv, or a folder whose name starts with fer2013",
            prefix="fer2013",
            readers=("fer2013", "ferplus", "ferplus-folder", "class-folder"),
            by_content=("fer2013", "ferplus", "ferplus-folder"),
        ),
        KnownSet(
            id="ck+",
            layout="a folder whose name starts with CK+, such as CK+48, with a folder a class in it",
            prefix="ck+",
            readers=("class-folder",),
        ),
        KnownSet(
            id="jaffe",
            layout="images named like KA.AN1.39.tiff, or a folder of them whose name starts with jaffe",
            prefix="jaffe",
            readers=("jaffe", "class-folder"),
            by_content=("jaffe",),
        ),
        KnownSet(
            id="affectnet",
            layout="a folder whose name starts with affectnet, with a folder a class (a name or 0..7) in it",
            prefix="affectnet",
            readers=("class-folder",),
        ),
    )
}


@dataclass(frozen=True)
class Found:
    """Where a set stands, and the ids of the readers that may read it there."""

    place: Path
    readers: tuple[str, ...]


def find(root: Path, wanted: KnownSet) -> Found | None:
    """Look for a set at and directly below ``root``; None if it is not there.

    Raises:
        InputError: ``root`` is no folder, or holds the set twice.
    """
    if not root.is_dir():
        raise InputError(
            f"{root} is no folder", hint="the sets of a recipe are found below a folder: give --data FOLDER"
        )
    at_root = Found(root, wanted.by_content)
    below = [Found(place, wanted.readers) for place in sorted(root.iterdir()) if _is_named(place, wanted)]
    if not _holds(at_root) and _is_named(root, wanted):
        at_root = Found(root, wanted.readers)
    found = [one for one in (at_root, *below) if _holds(one)]
    if len(found) > 1:
        places = " and in ".join(str(one.place) for one in found)
        raise InputError(f"{wanted.id} stands in {places}", hint="keep one of them below the data folder")
    return found[0] if found else None


def _holds(found: Found) -> bool:
    readers = cast(dict[str, Reader], discover("edgefer.datasets", "READERS"))
    return any(readers[name].finds(found.place) for name in found.readers)


def _is_named(place: Path, wanted: KnownSet) -> bool:
    return place.is_dir() and name_of(place).lower().startswith(wanted.prefix)
