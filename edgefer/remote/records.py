"""What an agent found out, as RunRecords; scores are taken here, from the probabilities it brought back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgefer.artifact import Artifact
from edgefer.bench.record import (
    SCHEMA,
    Accuracy,
    BatchTiming,
    ColdStart,
    Kind,
    RunRecord,
    Variant,
)
from edgefer.bench.runner import cold_start, reference
from edgefer.bench.scoring import score_probabilities
from edgefer.bench.variants import fallen_to_cpu, faster_on_cpu
from edgefer.datasets.base import Dataset
from edgefer.device.job import RESULT_FILE
from edgefer.errors import EdgeferError
from edgefer.remote.packing import Package

Data = Callable[[Artifact], Dataset]


def records(
    package: Package, folder: Path, *, target: str, kind: Kind, data: Data | None = None
) -> list[RunRecord]:
    """One record an artifact, from a job folder in which ``result.json`` and the probabilities lie.

    Raises:
        EdgeferError: the result cannot be read, or an artifact answers NaN.
    """
    try:
        result = json.loads((folder / RESULT_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise EdgeferError(f"{folder}: the agent's result cannot be read ({error})") from error
    found: list[RunRecord] = []
    for number, artifact in enumerate(package.artifacts):
        tasks = [task for task, owner in enumerate(package.owners) if owner == number]
        said = result["tasks"][tasks[0]]
        told = {package.job.tasks[task].variant: result["tasks"][task]["details"] for task in tasks}
        timed = {package.job.tasks[task].variant: _timings(result["tasks"][task]) for task in tasks}
        found.append(
            RunRecord(
                schema=SCHEMA,
                kind=kind,
                artifact=reference(artifact),
                target=target,
                executed_on=said["executed_on"],
                started=result["started"],
                # A bundle's agent may be older than this edgefer.
                run=result.get("run", ""),
                environment=result["environment"] | said.get("counter", {}),
                timings=_timings(said),
                cold_start=_cold_start(said),
                peak_memory_bytes=said["cold"]["peak_memory_bytes"] if said["cold"] else None,
                accuracy=_accuracy(artifact, folder, said["probabilities"], data),
                notes=(*said["notes"], *faster_on_cpu(timed), *fallen_to_cpu(told)),
                invalid=result["invalid"],
                details=said["details"],
                variants=tuple(
                    _variant(package.job.tasks[task].variant, result["tasks"][task]) for task in tasks[1:]
                ),
            )
        )
    return found


def _variant(name: str, said: dict[str, Any]) -> Variant:
    return Variant(
        name=name,
        executed_on=said["executed_on"],
        timings=_timings(said),
        cold_start=_cold_start(said),
        details=said["details"],
    )


def _timings(said: dict[str, Any]) -> tuple[BatchTiming, ...]:
    return tuple(msgspec.convert(timing, BatchTiming) for timing in said["timings"])


def _cold_start(said: dict[str, Any]) -> ColdStart | None:
    return cold_start(said["cold"]) if said["cold"] else None


def _accuracy(artifact: Artifact, folder: Path, answers: str, data: Data | None) -> Accuracy | None:
    if not answers or data is None:
        return None
    return score_probabilities(np.load(folder / answers, allow_pickle=False), artifact, data(artifact))
