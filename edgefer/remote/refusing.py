"""Artifacts that are refused before anything is written or sent."""

from __future__ import annotations

from collections.abc import Sequence

from edgefer.artifact import Artifact
from edgefer.bench.target import Target
from edgefer.errors import InputError
from edgefer.tflite_ops import flex_ops


def refuse(artifacts: Sequence[Artifact], target: Target | None = None) -> None:
    """Pass if every opened artifact (its hashes were checked then) can run on a device, and on ``target`` if given.

    Raises:
        InputError: the target does not take the container, or a TFLite file needs TensorFlow's own operators.
    """
    for artifact in artifacts:
        if target and not target.takes(artifact.format):
            raise InputError(
                f"{artifact.path}: target {target.id} does not take {artifact.format}",
                hint=f"it takes: {', '.join(target.formats)}",
            )
        if artifact.container == "tflite" and (found := flex_ops(artifact.path)):
            raise InputError(
                f"{artifact.path}: needs TensorFlow's own operators ({', '.join(found)}), which no device has",
                hint="convert it with 'edgefer convert', which keeps to TFLite's builtin operators",
            )
