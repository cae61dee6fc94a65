"""Where ``bench`` and ``collect`` leave their records, and what may be replaced there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.cli import console
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.artifact import Artifact


def record_place(*parts: str | None) -> str:
    """What a record is about beside its artifact, as its file name says it: the target, and what is not as usual."""
    return ".".join(filter(None, parts))


def record_files(artifacts: Sequence[Artifact], target: str, out: Path) -> list[Path]:
    """Where each record goes; two artifacts may not want the same place."""
    files = [out / f"{a.path.stem}.{a.format}.{target}.json" for a in artifacts]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise InputError(
                f"{artifacts[number].path}: its record {file} would be another artifact's too",
                hint="rename it, or bench it apart with another --out",
            )
    return files


def check_replaced(
    files: Sequence[Path], artifacts: Sequence[Artifact], *, timed: bool, scored: bool
) -> None:
    """Refuse to put records that lack times, or accuracy, in the place of ones that have them.

    A record of another file of the same name, an earlier conversion say, is replaced, and that is said.

    Raises:
        InputError: something measured would be lost.
    """
    from edgefer.bench.record import load_record

    for file, artifact in zip(files, artifacts, strict=True):
        if not file.exists():
            continue
        before = load_record(file)
        kept = {"times": timed or not before.timings, "accuracy": scored or not before.accuracy}
        if lost := [what for what, is_kept in kept.items() if not is_kept]:
            raise InputError(
                f"{file} has {' and '.join(lost)}, which its new record would not have",
                hint="give another --out, or measure times and accuracy in one call",
            )
        if before.artifact.sha256 != artifact.sha256:
            console.note(f"{file}: the record there, of an earlier {artifact.path.name}, is replaced")
