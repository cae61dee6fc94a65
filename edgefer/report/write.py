"""All files of a report, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import InputError
from edgefer.files import workspace

INDEX = "report.md"
# What only some reports have, as the earlier one's text names it: left there, it would pass for this one's.
_SOMETIMES = re.compile(r"\bgates\.csv\b|\bplots/[\w-]+\.svg\b")


def write_all(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Write ``files`` (name to content, text as UTF-8) into ``folder``, replacing those of an earlier report.

    Everything is written beside its destination and renamed only when all of it stands on disk, so that a
    failure leaves the old files. Then those go that the earlier report's ``INDEX`` names and this one has not.

    Raises:
        InputError: ``folder`` is a file.
        OSError: the disk is full or the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file", hint="name a folder with --out")
    earlier = _named_by(folder / INDEX)
    with workspace(folder / "report") as staging:
        for name, content in files.items():
            for place in (staging / name, folder / name):
                place.parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content.encode() if isinstance(content, str) else content)
        written = tuple((staging / name).replace(folder / name) for name in files)
    for name in earlier - set(files):
        (folder / name).unlink(missing_ok=True)
    return written


def _named_by(index: Path) -> set[str]:
    """The files that a report's text names, and the PNG of each plot; none where there is no report."""
    try:
        named = _SOMETIMES.findall(index.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError):
        return set()
    return {*named, *(name.removesuffix(".svg") + ".png" for name in named if name.endswith(".svg"))}
