"""All files of a report, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import InputError
from edgefer.files import workspace

# What only some reports have: of an earlier one, they would pass for this one's.
SOMETIMES = ("gates.csv", "plots/*.svg", "plots/*.png")


def write_all(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Write ``files`` (name to content, text as UTF-8) into ``folder``, replacing those of an earlier report.

    Everything is written beside its destination and renamed only when all of it stands on disk, so that a
    failure leaves the old files. Then those of ``SOMETIMES`` that are not written anew go.

    Raises:
        InputError: ``folder`` is a file.
        OSError: the disk is full or the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file", hint="name a folder with --out")
    with workspace(folder / "report") as staging:
        for name, content in files.items():
            for place in (staging / name, folder / name):
                place.parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content.encode() if isinstance(content, str) else content)
        written = tuple((staging / name).replace(folder / name) for name in files)
    for pattern in SOMETIMES:
        for file in set(folder.glob(pattern)) - set(written):
            file.unlink()
    return written
