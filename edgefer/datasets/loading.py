"""The one way to labelled faces: ``load(path, label_set)``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgefer.datasets import cache
from edgefer.datasets.base import Dataset, Reader
from edgefer.errors import InputError
from edgefer.registry import discover, suggestion

ENVIRONMENT = "EDGEFER_DATA"


def load(
    path: str | Path | None,
    label_set: str | None = None,
    *,
    size: tuple[int, int] = (48, 48),
    channels: int = 1,
) -> Dataset:
    """Load faces as uint8 (N, *size, channels), through the cache.

    Args:
        path: a file, the folder that holds the files, or ``synthetic``; None means the variable
            ``EDGEFER_DATA``.
        label_set: the protocol, for example ``ferplus-9``; None means the layout's default.
        size: height and width.
        channels: 1 (gray) or 3 (RGB).

    Raises:
        InputError: no path is given, it does not exist, is in no known layout, or does not offer the label
            set; or a file in it is damaged.
    """
    return plan(path, label_set, size=size, channels=channels).load()


@dataclass(frozen=True)
class Plan:
    """A load that is decided on: ``entry`` is its place in the cache, ``load()`` does it."""

    reader: Reader
    place: Path
    label_set: str
    size: tuple[int, int]
    channels: int

    @property
    def entry(self) -> Path:
        """The cache entry of the sources as they are now."""
        how = (self.reader.id, self.reader.version, self.label_set, self.size, self.channels)
        return cache.folder() / "datasets" / cache.key(self.reader.sources(self.place), *how)

    def load(self) -> Dataset:
        """Read from the cache, or parse and fill it; raises as ``load`` does."""
        return cache.through(self.entry, self._read)

    def _read(self) -> Dataset:
        return self.reader.read(self.place, self.label_set, self.size, self.channels)


def plan(
    path: str | Path | None,
    label_set: str | None = None,
    *,
    size: tuple[int, int] = (48, 48),
    channels: int = 1,
) -> Plan:
    """Find the reader and the label set without parsing anything; arguments and errors as for ``load``."""
    place = locate(path)
    reader = choose(place, label_set)
    return Plan(reader, place, label_set or reader.label_sets[0], size, channels)


def locate(path: str | Path | None) -> Path:
    """The path that was given, or the one in ``EDGEFER_DATA``.

    Raises:
        InputError: neither is given.
    """
    given = path or os.environ.get(ENVIRONMENT)
    if not given:
        raise InputError(
            "no data is given", hint=f"give --data PATH, set {ENVIRONMENT}, or use --data synthetic"
        )
    return Path(given).expanduser()


def choose(path: Path, label_set: str | None) -> Reader:
    """The reader for ``path`` that answers ``label_set`` (any if None); the highest rank where several do.

    Raises:
        InputError: none does, or two of the same rank do.
    """
    readers = cast(dict[str, Reader], discover("edgefer.datasets", "READERS"))
    found = [reader for reader in readers.values() if reader.finds(path)]
    if not found:
        raise _unknown_layout(path, readers)
    offered = [name for reader in found for name in reader.label_sets]
    if label_set is not None and label_set not in offered:
        raise InputError(f"{path} offers no label set {label_set!r}", hint=suggestion(label_set, offered))
    found = [reader for reader in found if label_set is None or label_set in reader.label_sets]
    best = [reader for reader in found if reader.rank == max(r.rank for r in found)]
    if len(best) > 1:
        layouts = " and as ".join(reader.id for reader in best)
        raise InputError(f"{path} can be read as {layouts}", hint="give the path of one of them")
    return best[0]


def _unknown_layout(path: Path, readers: dict[str, Reader]) -> InputError:
    if not path.exists():
        return InputError(f"the data {path} does not exist", hint="give --data PATH or --data synthetic")
    layouts = "; ".join(reader.layout for reader in readers.values())
    return InputError(f"{path} is in no known layout", hint=f"understood: {layouts}")
