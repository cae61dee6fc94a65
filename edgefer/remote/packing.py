"""A bench job as a folder for the device's agent."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from edgefer.artifact import Artifact
from edgefer.bench.runner import Job as BenchJob
from edgefer.bench.scoring import scorable
from edgefer.device.job import JOB_FILE, Job, Task, job_bytes
from edgefer.device.shipping import kit
from edgefer.files import files_in, write_atomic
from edgefer.preprocessing import Pixels

Content = Path | bytes


@dataclass(frozen=True)
class Package:
    """A job for the agent with all it needs.

    ``files`` maps a path in the job folder to a file here or to its content. ``owners`` says, for each task, which of
    ``artifacts`` it is about.
    """

    job: Job
    files: dict[str, Content]
    artifacts: tuple[Artifact, ...]
    owners: tuple[int, ...]


def pack(artifacts: Sequence[Artifact], bench: BenchJob) -> Package:
    """Everything an agent needs for ``bench`` with ``artifacts``.

    Raises:
        InputError: an artifact or the data does not fit the target or each other.
    """
    files: dict[str, Content] = {}
    tasks: list[Task] = []
    owners: list[int] = []
    for number, artifact in enumerate(artifacts):
        place = f"artifacts/{number}/{artifact.path.name}"
        files.update(artifact_files(artifact, place))
        rows = _add_rows(artifact, bench, files)
        variants = bench.target.variants(artifact.container)
        for variant, runtime in variants if bench.batches else variants[:1]:
            wanted = bench.target.executed_on.get(artifact.container, "")
            tasks.append(Task(place, runtime, wanted, "" if variant else rows, variant))
            owners.append(number)
    job = Job(
        tasks=tuple(tasks),
        threads=bench.threads or bench.target.options.threads,
        batches=bench.batches,
        plan=bench.plan,
    )
    files[JOB_FILE] = job_bytes(job)
    return Package(job, files, tuple(artifacts), tuple(owners))


def unpack(package: Package, folder: Path) -> None:
    """Write the job folder on this machine."""
    for name, content in package.files.items():
        write_atomic(folder / name, content_of(content))


def install_kit(folder: Path) -> None:
    """Write the modules that a device runs below ``folder``, which then goes on its Python's path."""
    for name, path in kit().items():
        write_atomic(folder / name, path.read_bytes())


def content_of(content: Content) -> bytes:
    """The bytes of a file that is sent."""
    return content if isinstance(content, bytes) else content.read_bytes()


def artifact_files(artifact: Artifact, place: str) -> dict[str, Content]:
    """The files of an artifact, which may be a package, each with its place below the one given."""
    if not artifact.path.is_dir():
        return {place: artifact.path}
    return {f"{place}/{p.relative_to(artifact.path).as_posix()}": p for p in files_in(artifact.path)}


def _add_rows(artifact: Artifact, bench: BenchJob, files: dict[str, Content]) -> str:
    """The test rows as a file; artifacts of one input size share it. Returns its place, "" without data."""
    if not bench.data:
        return ""
    content = _npy(scorable(artifact, bench.data(artifact)).pixels)
    place = f"rows/{sha256(content).hexdigest()[:16]}.npy"
    files[place] = content
    return place


def _npy(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(pixels), allow_pickle=False)
    return buffer.getvalue()
