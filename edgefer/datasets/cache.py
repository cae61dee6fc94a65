"""A memory-mapped copy of every parsed data set, so that the second load takes no time.

An entry is a folder of ``.npy`` files and one ``entry.json``. It is written elsewhere and moved into place,
so that a killed run leaves nothing half-written; an entry that does not read back whole is built anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgefer.datasets.base import Census, Dataset, Split, Subset
from edgefer.errors import InputError
from edgefer.files import atomic_directory
from edgefer.spec import Frozen, LabelSet

# Rises with the form of an entry, and whenever images would be decoded, or rows dealt or merged, in another way.
SCHEMA = 4
LEFT_SECONDS = 24 * 3600.0
"""Age from which a half-written entry is one that a killed run left."""
_ENTRY = "entry.json"
_ARRAYS = ("pixels", "labels", "soft", "leaked", "sources", "prints")


class _Entry(Frozen, frozen=True):
    """All of a ``Dataset`` but its arrays and what is done after loading; ``checksums`` maps files to CRC-32."""

    name: str
    labels: LabelSet
    splits: tuple[Split, ...]
    dropped: dict[Split, dict[str, int]]
    ties: dict[Split, int]
    census: dict[Literal["file", "usable"], Census]
    synthetic: bool
    sets: tuple[str, ...]
    absent: tuple[str, ...]
    skipped: dict[str, int]
    checksums: dict[str, int]


def folder() -> Path:
    """Where entries stand: ``EDGEFER_CACHE``, else the operating system's place for caches."""
    if override := os.environ.get("EDGEFER_CACHE"):
        return Path(override).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("edgefer")


def key(sources: tuple[Path, ...], *settings: object) -> str:
    """Identify a parse by each source's place, size and time of change, and by all that shapes the result.

    A source that is a link is known by its own place too: the folder it stands in may be its class.
    """
    digest = hashlib.sha256(repr((SCHEMA, settings)).encode())
    for source in sources:
        status = source.stat()
        places = str(source.absolute()), str(source.resolve())
        digest.update(repr((places, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()[:24]


def through(place: Path, build: Callable[[], Dataset]) -> Dataset:
    """The data set stored in the folder ``place``; built, stored and read back if it is not there or damaged.

    The arrays are read-only memory maps.

    Raises:
        InputError: the cache folder cannot be written.
    """
    if (found := _open(place)) is not None:
        return found
    built = build()
    try:
        _store(built, place)
    except OSError as error:
        raise InputError(
            f"cannot write the cache {place} ({error.strerror})",
            hint="set EDGEFER_CACHE to a folder with room",
        ) from error
    if (stored := _open(place)) is None:
        raise InputError(f"the cache {place} does not read back", hint="set EDGEFER_CACHE to a sound disk")
    return stored


def _open(place: Path) -> Dataset | None:
    """The entry, or None if it is missing or damaged."""
    try:
        entry = msgspec.json.decode((place / _ENTRY).read_bytes(), type=_Entry)
        if any(_checksum(place / file) != value for file, value in entry.checksums.items()):
            return None
        splits = {split: _map(place, split) for split in entry.splits}
    except (OSError, ValueError, EOFError):
        return None
    facts = (entry.dropped, entry.ties, entry.census, entry.synthetic, entry.sets, entry.absent)
    return Dataset(entry.name, entry.labels, splits, *facts, skipped=entry.skipped)


def _map(place: Path, split: Split) -> Subset:
    files = (place / f"{split}-{array}.npy" for array in _ARRAYS)
    return Subset(*(np.load(file, mmap_mode="r", allow_pickle=False) for file in files))


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            value = zlib.crc32(block, value)
    return value


def _store(dataset: Dataset, place: Path) -> None:
    _sweep(place.parent)
    try:
        with atomic_directory(place) as scratch:
            _write(dataset, scratch)
    except OSError:
        # Another process may have stored the same rows meanwhile; then theirs serve as well.
        if _open(place) is None:
            raise


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left half-written; what is younger may be another run's work."""
    for left in folder.glob(".*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _write(dataset: Dataset, scratch: Path) -> None:
    for split, subset in dataset.splits.items():
        for array in _ARRAYS:
            np.save(scratch / f"{split}-{array}.npy", getattr(subset, array))
    entry = _Entry(
        name=dataset.name,
        labels=dataset.labels,
        splits=tuple(dataset.splits),
        dropped=dataset.dropped,
        ties=dataset.ties,
        census=dataset.census,
        synthetic=dataset.synthetic,
        sets=dataset.sets,
        absent=dataset.absent,
        skipped=dataset.skipped,
        checksums={file.name: _checksum(file) for file in sorted(scratch.glob("*.npy"))},
    )
    (scratch / _ENTRY).write_bytes(msgspec.json.encode(entry))
