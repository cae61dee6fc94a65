"""The agent on this very machine: for targets whose files are timed in several ways in one run."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

import edgefer
from edgefer.artifact import Artifact
from edgefer.bench.record import RunRecord
from edgefer.bench.runner import Job
from edgefer.bench.target import with_installed_variants
from edgefer.errors import EdgeferError
from edgefer.remote.following import Progress, follow
from edgefer.remote.packing import pack, unpack
from edgefer.remote.records import records


def bench_here(artifacts: Sequence[Artifact], job: Job, progress: Progress) -> list[RunRecord]:
    """Run ``job`` by the agent, in a process and a folder of its own; one record an artifact, with its variants.

    Variants whose runtime is not installed are left out, and each record says so.

    Raises:
        InputError: an artifact or the data does not fit the target or each other.
        EdgeferError: the agent failed; its own error where it told one.
    """
    for artifact in artifacts:
        job.runtime(artifact)
    target, left_out = with_installed_variants(job.target, job.runtimes)
    job = dataclasses.replace(job, target=target)
    with tempfile.TemporaryDirectory(prefix="edgefer-run-") as work:
        folder = Path(work)
        package = pack(artifacts, job)
        unpack(package, folder)
        command = [sys.executable, "-P", "-m", "edgefer.device.agent", str(folder)]
        around = {**os.environ, "PYTHONPATH": str(Path(edgefer.__file__).parent.parent)}
        # In a session of its own: Ctrl-C is for us, who end it.
        with subprocess.Popen(
            command, env=around, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as agent:
            assert agent.stdout
            try:
                finished = follow(agent.stdout, job.target.id, progress)
            except BaseException:
                agent.kill()
                raise
        if not finished:
            raise EdgeferError(f"{job.target.id}: the run ended without a result (exit {agent.returncode})")
        found = records(package, folder, target=job.target.id, kind="measured", data=job.data)
        return [msgspec.structs.replace(record, notes=(*record.notes, *left_out)) for record in found]
