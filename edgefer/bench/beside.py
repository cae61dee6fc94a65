"""Which files must be timed beside which: an int8 file's speed says little without float files on the same card."""

from __future__ import annotations

from collections.abc import Sequence

from edgefer.artifact import Artifact
from edgefer.bench.target import Target
from edgefer.errors import InputError


def require_beside(artifacts: Sequence[Artifact], target: Target) -> None:
    """Pass if all that a target wants beside each artifact, of the same backbone, is there.

    Raises:
        InputError: something is not; the message names it.
    """
    there = {(each.manifest.backbone_sha256, each.format) for each in artifacts}
    for artifact in artifacts:
        backbone = artifact.manifest.backbone_sha256
        wanted = [one for one in target.beside.get(artifact.format, ()) if (backbone, one) not in there]
        if wanted:
            raise InputError(
                f"{artifact.path}: target {target.id} times {artifact.format} only beside {' and '.join(wanted)} of "
                "the same network",
                hint="add those files, or score it alone with --accuracy-only",
            )
