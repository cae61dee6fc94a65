"""What a bundle measured on a device without a connection, carried back as a folder, as RunRecords.

Nobody watched the run, so the folder is held against what a run by SSH is held against before it starts: the very
artifacts by their hashes, the machine and what the files ran on by the target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgefer.artifact import Artifact
from edgefer.bench.record import RunRecord
from edgefer.bench.target import Target, availability, load_target, targets
from edgefer.device.bundled import KERNELS, USUAL_KERNELS, read_bundle
from edgefer.device.job import RESULT_FILE, read_job
from edgefer.errors import InputError, TargetMismatchError, VerificationError
from edgefer.remote.packing import Package
from edgefer.remote.records import records
from edgefer.remote.refusing import refuse


@dataclass(frozen=True)
class Carried:
    """A result folder as read: ``target`` is what the bundle was made for, ``result`` what the agent wrote."""

    folder: Path
    target: Target
    package: Package
    result: dict[str, Any]

    @property
    def kernels(self) -> str:
        """TFLite's kernels as ``edgefer bench --kernels`` calls them; empty for those that run without it."""
        names = {runtime: kernels for kernels, runtime in KERNELS.items() if kernels != USUAL_KERNELS}
        return next((names[task.runtime] for task in self.package.job.tasks if task.runtime in names), "")


def read_carried(folder: Path, artifacts: Sequence[Artifact], target_id: str = "") -> Carried:
    """Read what ``run_on_device.py --bench --out`` left in ``folder``, and find the artifacts that it is about.

    ``target_id`` "" means the target that the bundle was made for.

    Raises:
        InputError: it is no such folder, its run did not finish, or the artifacts are not those of the run.
        VerificationError: an artifact has the name of one that ran, and another content.
    """
    try:
        result: dict[str, Any] = json.loads((folder / RESULT_FILE).read_bytes())
        target = load_target(target_id or read_bundle(folder).target)
        job, ran = read_job(folder), {task["sha256"]: number for number, task in enumerate(result["tasks"])}
        names = [Path(task.artifact).name for task in job.tasks]
        owners = [_owner(artifacts, sha256, names[number], folder) for sha256, number in ran.items()]
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename}: no such file",
            hint="run_on_device.py --bench --out FOLDER leaves it when it is done",
        ) from None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unreadable(folder, error) from error
    for number, artifact in enumerate(artifacts):
        if number not in owners:
            raise InputError(f"{artifact.path}: did not run in {folder}", hint="leave it out")
    return Carried(folder, target, Package(job, {}, tuple(artifacts), tuple(owners)), result)


def carried_records(carried: Carried) -> list[RunRecord]:
    """One record an artifact, in the order that they were given.

    Raises:
        InputError: the target does not take an artifact, or the result is damaged.
        TargetMismatchError: what measured is not the target, or a file ran on something else than it says.
    """
    refuse(carried.package.artifacts, carried.target)
    try:
        _check_machine(carried)
        _check_executed_on(carried)
        made = records(carried.package, carried.folder, target=carried.target.id, kind="measured")
        # Unlike what came over a connection, the file may have been edited: types are checked as on reading a record.
        return [msgspec.json.decode(msgspec.json.encode(record), type=RunRecord) for record in made]
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(carried.folder, error) from error


def _owner(artifacts: Sequence[Artifact], sha256: str, name: str, folder: Path) -> int:
    """Which of ``artifacts`` is the one that ran as ``name`` with that hash."""
    for number, artifact in enumerate(artifacts):
        if artifact.sha256 == sha256:
            return number
    for artifact in artifacts:
        if artifact.path.name == name:
            raise VerificationError(
                f"{artifact.path}: is not the {name} that ran in {folder}, which has sha256 {sha256[:12]}",
                hint="name the file that the bundle was made of, or measure this one",
            )
    raise InputError(f"{folder}: {name} ran there as well", hint="name it, too")


def _check_machine(carried: Carried) -> None:
    """Hold the machine that measured against the target."""
    machine, target = carried.result["machine"], carried.target
    if lack := availability(target, machine):
        raise TargetMismatchError(
            f"{carried.folder}: was not measured on target {target.id}: it {lack}", hint=_instead(machine)
        )


def _instead(machine: Mapping[str, Any]) -> str:
    """The target that the machine is; any machine is a CPU."""
    boards = [each.id for each in targets().values() if each.needs.board and not availability(each, machine)]
    return f"what measured is --target {boards[0] if boards else 'cpu'}"


def _check_executed_on(carried: Carried) -> None:
    """Hold what each file ran on against what the target says."""
    for owner, said in zip(carried.package.owners, carried.result["tasks"], strict=True):
        artifact = carried.package.artifacts[owner]
        wanted = carried.target.executed_on.get(artifact.container, "")
        if wanted not in said["executed_on"]:
            raise TargetMismatchError(
                f"{artifact.path}: target {carried.target.id} wants {wanted}, but it ran on {said['executed_on']}"
            )


def _unreadable(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: not what run_on_device.py --bench --out leaves ({type(error).__name__}: {error})",
        hint="copy the whole folder, or measure again",
    )
