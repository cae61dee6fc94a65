"""The same rows on this machine, with the kernels that the emulated board used, and how far the two are apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgefer.artifact import Artifact
from edgefer.bench.emulated import Parity
from edgefer.bench.record import kernels_in
from edgefer.datasets.scoring import scores
from edgefer.emulation.board import THREADS
from edgefer.emulation.rows import Rows
from edgefer.errors import TargetUnavailableError
from edgefer.preprocessing import Floats
from edgefer.runtimes.base import Runtime, Session, predict


def parity(artifact: Artifact, emulated: Floats, rows: Rows, session: Session, *, batch: int) -> Parity:
    """Hold ``emulated``, probabilities (N, classes) of the N rows, against ``session`` on this machine."""
    data, test = rows.data, rows.data.split("test")
    here = predict(session, test.pixels, batch=batch)
    classes, classes_here = emulated.argmax(axis=1), here.argmax(axis=1)
    (full, _), (full_here, _) = (scores(each, test, data.labels) for each in (classes, classes_here))
    difference = float(np.max(np.abs(emulated - here)))
    step = artifact.manifest.io.output.scale
    return Parity(
        rows=len(test),
        of_rows=rows.of,
        rows_sha256=test.sha256,
        here=session.executed_on,
        f1=full.weighted_f1,
        f1_here=full_here.weighted_f1,
        top1_agreement=float(np.mean(classes == classes_here)),
        max_abs=difference,
        max_steps=None if step is None else round(difference / step),
    )


def open_alike(artifact: Artifact, executed_on: str, runtimes: Mapping[str, Runtime]) -> Session:
    """A session on this machine whose kernels are those in ``executed_on``, what the board's session said.

    Raises:
        TargetUnavailableError: no runtime here has them.
    """
    wanted = kernels_in(executed_on)
    for runtime in runtimes.values():
        if runtime.container == artifact.container and not runtime.missing():
            session = runtime.open(artifact, THREADS)
            if kernels_in(session.executed_on) == wanted:
                return session
    raise TargetUnavailableError(
        f"{artifact.path}: no runtime of this machine runs it on {wanted or 'the same kernels'}, as the board does",
        hint=f"install the runtime of {artifact.container} files: pip install 'edgefer[tflite,onnx]'",
    )
