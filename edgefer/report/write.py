"""All files of a report, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import InputError
from edgefer.files import workspace


def write_all(folder: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write ``files`` (name to text, UTF-8) into ``folder``, replacing those that are there.

    Everything is written beside its destination and renamed only when all of it stands on disk, so that a
    failure leaves the old files.

    Raises:
        InputError: ``folder`` is a file.
        OSError: the disk is full or the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file", hint="name a folder with --out")
    with workspace(folder / "report") as staging:
        for name, text in files.items():
            (staging / name).write_text(text, encoding="utf-8", newline="\n")
        return tuple((staging / name).replace(folder / name) for name in files)
