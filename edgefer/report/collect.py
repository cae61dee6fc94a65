"""Find the records a report is about, name them, and refuse those that do not belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer.bench.record import KERNELS, Kind, RunRecord, gate_in, load_record
from edgefer.errors import InputError
from edgefer.gating.record import Gate, as_gate
from edgefer.metrics import Score

KINDS: tuple[Kind, ...] = ("measured", "emulated", "estimated")
UNNAMED = "a machine without a name"


@dataclass(frozen=True)
class Run:
    """A record, the file it came from, and the short name its artifact has within this report."""

    path: Path
    record: RunRecord
    label: str


@dataclass(frozen=True)
class Group:
    """Runs whose numbers may stand in one table: one target, one kind, one machine, one kernel set an artifact.

    ``apart`` is what tells the group from others of its target and kind: the machine where there are several, the
    kernels where an artifact ran with several; elsewhere empty.
    """

    target: str
    kind: Kind
    runs: tuple[Run, ...]
    apart: str = ""

    @property
    def place(self) -> str:
        """The target, and what tells it apart in brackets."""
        return f"{self.target} ({self.apart})" if self.apart else self.target

    @property
    def title(self) -> str:
        """``<target> (<apart>), <kind>``."""
        return f"{self.place}, {self.kind}"


@dataclass(frozen=True)
class Gated:
    """A gate, the file it came from, and the name its artifact has within this report."""

    path: Path
    gate: Gate
    label: str

    @property
    def against(self) -> str:
        """What the artifact was held against."""
        baseline = self.gate.baseline
        return (
            f"float {baseline.name}" if baseline.format == "keras" else f"{baseline.name} {baseline.format}"
        )


@dataclass(frozen=True)
class Material:
    """All that a report is about."""

    groups: tuple[Group, ...]
    gates: tuple[Gated, ...]


def synthetic_words(group: Group) -> str:
    """``, synthetic data`` to stand behind accuracy figures of the group if any of them is, else nothing."""
    synthetic = any(run.record.accuracy.synthetic for run in group.runs if run.record.accuracy)
    return ", synthetic data" if synthetic else ""


def collect(paths: Sequence[Path]) -> tuple[Group, ...]:
    """Read all records named by ``paths``: files, or folders searched for ``*.json`` at any depth.

    Groups stand in the order measured, emulated, estimated and then by target, machine and kernels; runs by name,
    container and descending size.

    Raises:
        InputError: a path holds no record or something else, an artifact has two records of one kind for one
            target, machine and kernel set, or records were scored on different rows.
    """
    return gather(paths).groups


def gather(paths: Sequence[Path]) -> Material:
    """Read all records as ``collect`` does, and the gates among them: failed ones first, then by their artifacts.

    Raises:
        InputError: as ``collect``, or there are gates only.
    """
    files = _files(paths)
    gates = {file: as_gate(raw, file) for file in files if (raw := gate_in(file)) is not None}
    loaded = [(file, load_record(file)) for file in files if file not in gates]
    if not loaded:
        raise InputError(
            f"{files[0]}: a gate, and no RunRecord of what stood at it",
            hint="give the records of 'edgefer bench' too",
        )
    _refuse_duplicates(loaded)
    _refuse_mixed_rows(loaded)
    runs = _named(loaded)
    return Material(_grouped(runs), _gated(gates, runs))


def _gated(gates: Mapping[Path, Gate], runs: Sequence[Run]) -> tuple[Gated, ...]:
    labels = {run.record.artifact.sha256: run.label for run in runs}
    found = [
        Gated(path, gate, labels.get(gate.artifact.sha256) or f"{gate.artifact.name} {gate.artifact.format}")
        for path, gate in gates.items()
    ]
    return tuple(sorted(found, key=_gate_place))


def _files(paths: Iterable[Path]) -> list[Path]:
    found = [file for path in paths for file in (_in_folder(path) if path.is_dir() else [path])]
    return list({file.resolve(): file for file in found}.values())


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise InputError(f"{folder}: holds no RunRecord (*.json)", hint="edgefer bench writes them")
    return files


def _gate_place(gated: Gated) -> tuple[int, str, str, int, str]:
    gate = gated.gate
    severity = ("fail", "underpowered", "pass").index(gate.gate)
    return (severity, gated.label, gated.against, -gate.rows.rows, gated.path.name)


def _refuse_duplicates(loaded: Iterable[tuple[Path, RunRecord]]) -> None:
    seen: dict[tuple[str, ...], Path] = {}
    for path, record in loaded:
        key = (*_circumstances(record), record.kernels, record.artifact.sha256)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {path}: one {record.artifact.format} artifact twice on {record.target}, "
                f"{machine_of(record) or UNNAMED}",
                hint="keep one of the two, or report them apart",
            )
        seen[key] = path


def _refuse_mixed_rows(loaded: Iterable[tuple[Path, RunRecord]]) -> None:
    scored = [(path, record.accuracy) for path, record in loaded if record.accuracy]
    hint = "report them separately: F1 of different rows does not compare"
    if all(accuracy.faces_sha256 for _, accuracy in scored):
        _all_equal([(path, accuracy.faces_sha256) for path, accuracy in scored], "faces", hint)
        _all_equal(
            [(path, f"{accuracy.clean.n:,}") for path, accuracy in scored], "numbers of leak-free rows", hint
        )
    else:
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
    """Name each artifact no longer than tells it apart: format, its name where there are several, its hash."""
    loaded = list(loaded)
    artifacts = {record.artifact.sha256: record.artifact for _, record in loaded}
    several = len({each.name for each in artifacts.values()}) > 1
    short = {sha: f"{each.name} {each.format}" if several else each.format for sha, each in artifacts.items()}
    shared = Counter(short.values())
    labels = {sha: label if shared[label] == 1 else f"{label} {sha[:8]}" for sha, label in short.items()}
    return [Run(path, record, labels[record.artifact.sha256]) for path, record in loaded]


def machine_of(record: RunRecord) -> str:
    """The board a record was taken on, elsewhere the processor and how many cores it has there; "" if it says neither.

    Records of one run never differ in it. Two machines of one make are one here: records name no owner.
    """
    around = record.environment
    if board := around.get("board"):
        return str(board)
    cores = f", {around['logical_cores']} cores" if around.get("logical_cores") else ""
    return f"{around['cpu']}{cores}" if around.get("cpu") else ""


def _circumstances(record: RunRecord) -> tuple[str, str, str]:
    return record.kind, record.target, machine_of(record)


def _grouped(runs: Sequence[Run]) -> tuple[Group, ...]:
    groups: dict[tuple[int, str, str, str], list[Run]] = {}
    contested = _with_several_kernels(runs)
    for run in sorted(runs, key=_place):
        kind, target, machine = _circumstances(run.record)
        kernels = run.record.kernels if (kind, target, machine) in contested else ""
        # XNNPACK is what runs unasked: its records stay beside those of other containers.
        key = (KINDS.index(run.record.kind), target, machine, "" if kernels == KERNELS[0] else kernels)
        groups.setdefault(key, []).append(run)
    machines = Counter(key[:2] for key in {key[:3] for key in groups})
    return tuple(
        Group(key[1], KINDS[key[0]], tuple(groups[key]), _apart(key[2], key[3], machines[key[:2]] > 1))
        for key in sorted(groups)
    )


def _with_several_kernels(runs: Iterable[Run]) -> set[tuple[str, str, str]]:
    """Kinds, targets and machines on which one artifact ran with several kernel sets."""
    kernels: dict[tuple[tuple[str, str, str], str], set[str]] = {}
    for run in runs:
        record = run.record
        kernels.setdefault((_circumstances(record), record.artifact.sha256), set()).add(record.kernels)
    return {where for (where, _), found in kernels.items() if len(found) > 1}


def _apart(machine: str, kernels: str, several: bool) -> str:
    return ", ".join(filter(None, ((machine or UNNAMED) if several else "", kernels)))


def _place(run: Run) -> tuple[str, str, int, str, str]:
    artifact = run.record.artifact
    container = artifact.format.partition("-")[0]
    return (artifact.name, container, -artifact.bytes, artifact.format, artifact.sha256)
