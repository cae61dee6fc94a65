"""Which modules are shipped to a device, in one list that a test holds to be complete."""

from __future__ import annotations

from pathlib import Path

import edgefer

SHIPPED = (
    "edgefer/__init__.py",
    "edgefer/agreement.py",
    "edgefer/bench/__init__.py",
    "edgefer/bench/cold.py",
    "edgefer/bench/environment.py",
    "edgefer/bench/latency.py",
    "edgefer/bench/machine.py",
    "edgefer/bench/measure.py",
    "edgefer/bench/metering.py",
    "edgefer/bench/receipts.py",
    "edgefer/bench/steady.py",
    "edgefer/bench/throttling.py",
    "edgefer/contract.py",
    "edgefer/device/__init__.py",
    "edgefer/device/agent.py",
    "edgefer/device/answering.py",
    "edgefer/device/bundled.py",
    "edgefer/device/job.py",
    "edgefer/device/proving.py",
    "edgefer/embedding.py",
    "edgefer/errors.py",
    "edgefer/files.py",
    "edgefer/pixels.py",
    "edgefer/preprocessing.py",
    "edgefer/protobuf.py",
    "edgefer/quieting.py",
    "edgefer/registry.py",
)
# All runtimes: which of them can run is found out there.
RUNTIMES = "edgefer/runtimes"


def kit() -> dict[str, Path]:
    """The shipped files: path below the folder that goes on Python's path → where the file is here."""
    root = Path(edgefer.__file__).parent.parent
    runtimes = sorted((root / RUNTIMES).rglob("*.py"))
    return {name: root / name for name in (*SHIPPED, *(p.relative_to(root).as_posix() for p in runtimes))}
