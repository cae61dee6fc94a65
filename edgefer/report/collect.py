"""Find the records a report is about, name them, and refuse those that do not belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer.bench.record import Kind, RunRecord, load_record
from edgefer.errors import InputError
from edgefer.metrics import Score

KINDS: tuple[Kind, ...] = ("measured", "emulated", "estimated")


@dataclass(frozen=True)
class Run:
    """A record, the file it came from, and the short name its artifact has within this report."""

    path: Path
    record: RunRecord
    label: str


@dataclass(frozen=True)
class Group:
    """Runs whose numbers may stand in one table: one target, one kind."""

    target: str
    kind: Kind
    runs: tuple[Run, ...]

    @property
    def title(self) -> str:
        """``<target>, <kind>``."""
        return f"{self.target}, {self.kind}"


def synthetic_words(group: Group) -> str:
    """``, synthetic data`` to stand behind accuracy figures of the group if any of them is, else nothing."""
    synthetic = any(run.record.accuracy.synthetic for run in group.runs if run.record.accuracy)
    return ", synthetic data" if synthetic else ""


def collect(paths: Sequence[Path]) -> tuple[Group, ...]:
    """Read all records named by ``paths``: files, or folders searched for ``*.json`` at any depth.

    Groups stand in the order measured, emulated, estimated and then by target; runs by name, container and
    descending size.

    Raises:
        InputError: a path holds no record or something else, an artifact has two records of one kind for one
            target, or records were scored on different rows.
    """
    loaded = [(file, load_record(file)) for file in _files(paths)]
    _refuse_duplicates(loaded)
    _refuse_mixed_rows(loaded)
    return _grouped(_named(loaded))


def _files(paths: Iterable[Path]) -> list[Path]:
    found = [file for path in paths for file in (_in_folder(path) if path.is_dir() else [path])]
    return list({file.resolve(): file for file in found}.values())


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise InputError(f"{folder}: holds no RunRecord (*.json)", hint="edgefer bench writes them")
    return files


def _refuse_duplicates(loaded: Iterable[tuple[Path, RunRecord]]) -> None:
    seen: dict[tuple[str, str, Kind], Path] = {}
    for path, record in loaded:
        key = (record.artifact.sha256, record.target, record.kind)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {path}: one {record.artifact.format} artifact twice on {record.target}",
                hint="keep one of the two",
            )
        seen[key] = path


def _refuse_mixed_rows(loaded: Iterable[tuple[Path, RunRecord]]) -> None:
    scored = [(path, record.accuracy) for path, record in loaded if record.accuracy]
    hint = "report them separately: F1 of different rows does not compare"
    _all_equal([(path, accuracy.full.rows_sha256) for path, accuracy in scored], "rows", hint)
    _all_equal([(path, accuracy.clean.rows_sha256) for path, accuracy in scored], "leak-free rows", hint)
    of_artifacts = [(path, class_names(accuracy.full)) for path, accuracy in scored]
    of_baselines = [
        (path, class_names(accuracy.baseline.full))
        for path, accuracy in scored
        if accuracy.baseline is not None
    ]
    _all_equal(of_artifacts + of_baselines, "classes", hint)


def class_names(score: Score) -> str:
    """The classes of a score in one line, in order."""
    return ", ".join(each.name for each in score.per_class)


def _all_equal(values: Sequence[tuple[Path, str]], what: str, hint: str) -> None:
    for path, value in values[1:]:
        first, expected = values[0]
        if value != expected:
            raise InputError(
                f"{first} and {path}: scored on different {what} ({_short(expected)} and {_short(value)})",
                hint=hint,
            )


def _short(value: str) -> str:
    return value if "," in value else value[:12]


def _named(loaded: Iterable[tuple[Path, RunRecord]]) -> list[Run]:
    """Name each artifact no longer than tells it apart: format, then with its name, then with its hash."""
    loaded = list(loaded)
    schemes: tuple[Callable[[RunRecord], str], ...] = (
        lambda record: record.artifact.format,
        lambda record: f"{record.artifact.name} {record.artifact.format}",
        lambda record: f"{record.artifact.name} {record.artifact.format} {record.artifact.sha256[:8]}",
    )
    for scheme in schemes:
        artifacts = {record.artifact.sha256: scheme(record) for _, record in loaded}
        if max(Counter(artifacts.values()).values()) == 1:
            break
    return [Run(path, record, scheme(record)) for path, record in loaded]


def _grouped(runs: Iterable[Run]) -> tuple[Group, ...]:
    groups: dict[tuple[int, str], list[Run]] = {}
    for run in sorted(runs, key=_place):
        groups.setdefault((KINDS.index(run.record.kind), run.record.target), []).append(run)
    return tuple(Group(target, KINDS[kind], tuple(groups[kind, target])) for kind, target in sorted(groups))


def _place(run: Run) -> tuple[str, str, int, str, str]:
    artifact = run.record.artifact
    container = artifact.format.partition("-")[0]
    return (artifact.name, container, -artifact.bytes, artifact.format, artifact.sha256)
