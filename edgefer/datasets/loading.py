"""The one way to labelled faces: ``load(path, label_set)``."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, cast

from edgefer.datasets import cache
from edgefer.datasets.base import Dataset, Reader
from edgefer.datasets.known import SETS, Found, find
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.merging import How, merge
from edgefer.datasets.relabelling import relabelled
from edgefer.errors import InputError, SettingError
from edgefer.recipe import DataPart
from edgefer.registry import discover, suggestion

ENVIRONMENT = "EDGEFER_DATA"
_AS_FILES_SAY = How()


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


def load_for(
    path: str | Path | None, data: DataPart, *, size: tuple[int, int] = (48, 48), channels: int = 1
) -> Dataset:
    """Load what a recipe's ``data`` asks for: sets merged, dealt anew and relabelled, through the cache.

    ``data.relabel`` is relative to the current folder. Arguments and errors as for ``load``, and:

    Raises:
        SettingError: a set or a label set is unknown.
        InputError: a set is not found below ``path``, or the relabel file does not fit.
    """
    dataset = plan_for(path, data, size=size, channels=channels).load()
    return relabelled(dataset, Path(data.relabel).expanduser()) if data.relabel else dataset


@dataclass(frozen=True)
class Source:
    """One set to be read: ``name`` is empty where it was not asked for by name."""

    name: str
    reader: Reader
    place: Path


@dataclass(frozen=True)
class Plan:
    """A load that is decided on: ``entry`` is its place in the cache, ``load()`` does it.

    ``absent`` names optional sets that are not there.
    """

    sources: tuple[Source, ...]
    label_set: str
    size: tuple[int, int]
    channels: int
    how: How = _AS_FILES_SAY
    absent: tuple[str, ...] = ()

    @property
    def entry(self) -> Path:
        """The cache entry of the sources as they are now."""
        files = tuple(file for source in self.sources for file in source.reader.sources(source.place))
        readers = [(source.name, source.reader.id, source.reader.version) for source in self.sources]
        settings = (readers, self.label_set, self.size, self.channels, self.how, self.absent)
        return cache.folder() / "datasets" / cache.key(files, *settings)

    def load(self) -> Dataset:
        """Read from the cache, or parse and fill it; raises as ``load`` does."""
        return replace(cache.through(self.entry, self._read), dealt=self.how.split)

    def _read(self) -> Dataset:
        names = tuple(source.name for source in self.sources if source.name)
        parsed = [
            source.reader.read(source.place, self.label_set, self.size, self.channels)
            for source in self.sources
        ]
        return merge(parsed, names, self.how, self.absent)


def plan(
    path: str | Path | None,
    label_set: str | None = None,
    *,
    size: tuple[int, int] = (48, 48),
    channels: int = 1,
    how: How = _AS_FILES_SAY,
) -> Plan:
    """Find the reader and the label set without parsing anything; arguments and errors as for ``load``."""
    place = locate(path)
    reader = choose(place, label_set)
    return Plan((Source("", reader, place),), label_set or reader.label_sets[0], size, channels, how)


def plan_for(
    path: str | Path | None, data: DataPart, *, size: tuple[int, int] = (48, 48), channels: int = 1
) -> Plan:
    """Find what ``load_for`` would read, without parsing or relabelling anything."""
    how = How(data.split, data.shares)
    if not data.sets:
        return plan(path, data.labels, size=size, channels=channels, how=how)
    _check_names(data)
    root = locate(path)
    found = {name: find(root, SETS[name]) for name in (*data.sets, *data.optional)}
    absent = tuple(name for name in data.optional if found[name] is None)
    sources = tuple(
        _source(name, one or _missing(root, name), data.labels)
        for name, one in found.items()
        if name not in absent
    )
    return Plan(sources, data.labels, size, channels, how, absent)


def _check_names(data: DataPart) -> None:
    if data.labels not in LABEL_SETS:
        raise SettingError(
            f"data.labels: {data.labels!r} is no label set that sets can be merged in",
            key="data.labels",
            hint=suggestion(data.labels, LABEL_SETS),
        )
    for key, names in (("data.sets", data.sets), ("data.optional", data.optional)):
        for name in names:
            if name not in SETS:
                raise SettingError(f"{key}: unknown set {name!r}", key=key, hint=suggestion(name, SETS))


def _source(name: str, found: Found, label_set: str) -> Source:
    return Source(name, choose(found.place, label_set, found.readers), found.place)


def _missing(root: Path, name: str) -> NoReturn:
    raise InputError(
        f"{root} holds no {name}: looked for {SETS[name].layout}",
        hint="put it there, or change data.sets of the recipe",
    )


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


def choose(path: Path, label_set: str | None, among: Collection[str] = ()) -> Reader:
    """The reader for ``path`` that answers ``label_set`` (any if None); the highest rank where several do.

    Only the readers ``among`` are asked, where there are any.

    Raises:
        InputError: none does, or two of the same rank do.
    """
    readers = cast(dict[str, Reader], discover("edgefer.datasets", "READERS"))
    asked = [readers[name] for name in among] or list(readers.values())
    found = [reader for reader in asked if reader.finds(path)]
    if not found:
        raise _unknown_layout(path, readers)
    offered = [name for reader in found for name in reader.label_sets]
    if label_set is not None and label_set not in offered:
        message = f"{path} offers no label set {label_set!r}"
        raise SettingError(message, key="data.labels", hint=suggestion(label_set, offered))
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
