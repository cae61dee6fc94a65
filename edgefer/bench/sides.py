"""The two sides of a comparison: the records of one artifact each, and when they may not be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgefer.bench.comparing import common_batches
from edgefer.bench.likeness import Difference, differences
from edgefer.bench.record import RunRecord, gate_in, load_record
from edgefer.errors import InputError


@dataclass(frozen=True)
class Side:
    """Records of one artifact, one a run, as ``name`` found them."""

    name: str
    records: tuple[RunRecord, ...]
    files: tuple[Path, ...]

    @property
    def label(self) -> str:
        """The artifact in words."""
        artifact = self.records[0].artifact
        return f"{artifact.name} {artifact.format}"


def read_side(name: str) -> Side:
    """Read a record, a folder of records, or a pattern such as ``runs/*/model-int8.*.json``.

    Raises:
        InputError: nothing is there, or not records of one artifact.
    """
    path = Path(name)
    files = _in_folder(path) if path.is_dir() else [path] if path.exists() else _matching(name)
    if not files:
        raise InputError(f"{name}: no RunRecord (*.json) is there", hint="edgefer bench writes them")
    records = tuple(load_record(file) for file in files)
    kinds = {record.artifact.sha256 for record in records}
    if len(kinds) > 1:
        raise InputError(
            f"{name}: holds records of {len(kinds)} artifacts",
            hint="name one artifact's with a pattern in quotes, 'runs/*/model-int8.*.json'",
        )
    runs = [record.run for record in records if record.run]
    if len(set(runs)) < len(runs):
        raise InputError(f"{name}: holds two records of one run", hint="name the copies of a file apart")
    return Side(name, records, tuple(files))


def _in_folder(folder: Path) -> list[Path]:
    """The folder's JSON files; what ``edgefer gate`` left among the records is none."""
    return [file for file in sorted(folder.rglob("*.json")) if gate_in(file) is None]


def unstable(a: Side, b: Side, batches: Collection[int]) -> list[str]:
    """Which of the times that are compared may not be trusted, and why."""
    return [
        f"{file} at batch {timing.batch}: {timing.unstable}"
        for side in (a, b)
        for file, record in zip(side.files, side.records, strict=True)
        for timing in record.timings
        if timing.unstable and timing.batch in batches
    ]


def refuse(a: Side, b: Side, *, across: bool, invalid: bool) -> tuple[list[Difference], list[str]]:
    """Pass if the sides may be compared; returns what differs ``across`` them, and why times do not count.

    Raises:
        InputError: a record stands on both sides or holds no times, no batch size is common to all, one is invalid
            (unless ``invalid``), or their environments differ (unless ``across``).
    """
    if both := {file.resolve() for file in a.files} & {file.resolve() for file in b.files}:
        raise InputError(f"{min(both).name}: the same record on both sides")
    _refuse_without_times(a, b)
    reasons = list(_invalid(a, b))
    if reasons and not invalid:
        raise InputError(
            f"not compared, {reasons[0]}",
            hint="bench again on an idle machine, or --invalid to compare it all the same",
        )
    found = _differences(a, b)
    if found and not across:
        listed = "; ".join(map(str, found))
        raise InputError(
            f"not compared, A and B differ in {listed}", hint="--across compares them all the same"
        )
    return found, reasons


def _refuse_without_times(a: Side, b: Side) -> None:
    for side in (a, b):
        for file, record in zip(side.files, side.records, strict=True):
            if record.kind != "measured" or not record.timings:
                why = "accuracy only" if record.kind == "measured" else record.kind
                raise InputError(f"{file}: holds no times ({why}), so there is nothing to compare")
    if not common_batches(a.records, b.records):
        sizes = (
            ", ".join(sorted({str(t.batch) for record in side.records for t in record.timings}, key=int))
            for side in (a, b)
        )
        raise InputError(f"no batch size is common to all records: A has {next(sizes)}, B has {next(sizes)}")


def _invalid(a: Side, b: Side) -> Iterator[str]:
    for side in (a, b):
        for file, record in zip(side.files, side.records, strict=True):
            if record.invalid:
                yield f"{file} is invalid: {record.invalid}"


def _differences(a: Side, b: Side) -> list[Difference]:
    """Of all records against the first of A: runs of one side may differ no more than the sides."""
    first = a.records[0]
    found = [each for record in (*a.records[1:], *b.records) for each in differences(first, record)]
    return list({each.field: each for each in found}.values())


def _matching(pattern: str) -> list[Path]:
    """Files that a pattern names, which may be absolute.

    Raises:
        InputError: it is no pattern.
    """
    path = Path(pattern)
    try:
        return sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
    except ValueError as error:
        raise InputError(f"{pattern}: {error}") from error
