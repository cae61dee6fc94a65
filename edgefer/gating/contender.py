"""An artifact or a float backbone, as something that answers images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgefer.artifact import open_artifact
from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.errors import EdgeferError, TargetUnavailableError
from edgefer.files import size_of
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import predict
from edgefer.spec import InputSpec, LabelSet, Lineage
from edgefer.verification import runtime_for

KERAS = "keras"


@dataclass(frozen=True)
class Contender:
    """``answer`` maps uint8 images (N, H, W, pixel channels) to probabilities float32 (N, classes)."""

    path: Path
    name: str
    format: str
    sha256: str
    bytes: int
    input: InputSpec
    labels: LabelSet
    lineage: Lineage
    executed_on: str
    answer: Callable[[Pixels], Floats]

    @property
    def title(self) -> str:
        """What sentences call it."""
        return f"{self.name} {self.format}"


def artifact_contender(path: Path, *, threads: int) -> Contender:
    """An artifact, loaded by a runtime that this machine has.

    Raises:
        InputError: the file is no artifact.
        VerificationError: the file is not what its contract says.
        TargetUnavailableError: no runtime for its container is installed.
    """
    artifact = open_artifact(path)
    runtime = runtime_for(artifact)
    if missing := runtime.missing():
        raise TargetUnavailableError(f"{path}: cannot run here: {missing}")
    session = runtime.open(artifact, threads)
    manifest = artifact.manifest
    return Contender(
        path=path,
        name=manifest.name,
        format=artifact.format,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        input=manifest.input,
        labels=manifest.labels,
        lineage=manifest.lineage,
        executed_on=session.executed_on,
        answer=lambda pixels: predict(session, pixels),
    )


def backbone_contender(backbone: Backbone, path: Path) -> Contender:
    """A float backbone that was loaded from ``path``."""
    return Contender(
        path=path,
        name=backbone.name,
        format=KERAS,
        sha256=backbone.sha256,
        bytes=size_of(path),
        input=backbone.input,
        labels=backbone.labels,
        lineage=backbone.lineage,
        executed_on=f"keras {version('keras')}",
        answer=lambda pixels: probabilities(backbone, pixels),
    )


def answers(contender: Contender, pixels: Pixels) -> Floats:
    """What it answers, float32 (N, classes).

    Raises:
        EdgeferError: an answer is NaN, which is no class.
    """
    given = contender.answer(pixels)
    bad = int(np.isnan(given).any(axis=1).sum())
    if bad:
        raise EdgeferError(
            f"{contender.path}: answers NaN for {bad} of {len(given)} images", hint="run edgefer verify on it"
        )
    return given
