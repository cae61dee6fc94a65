"""The golden images of an artifact, replayed on the machine that it is on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgefer.agreement import compare, lacks_proof
from edgefer.contract import Loadable
from edgefer.runtimes.base import Session, predict


def prove(artifact: Loadable, session: Session) -> dict[str, Any]:
    """Plain values: ``status`` (passed or failed), ``reason``, ``executed_on`` and the figures of an ``Agreement``."""
    golden, found = artifact.golden, {}
    if not (reason := lacks_proof(golden)):
        replayed = predict(session, golden.inputs)
        if replayed.shape != golden.outputs.shape:
            reason = f"outputs have shape {replayed.shape}, the backbone's {golden.outputs.shape}"
        else:
            found = asdict(compare(artifact.manifest.format, golden.outputs, replayed))
            reason = found.pop("broken")
    status = "failed" if reason else "passed"
    return {"status": status, "reason": reason, "executed_on": session.executed_on, **found}
