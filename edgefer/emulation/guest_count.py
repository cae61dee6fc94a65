"""Runs inside the guest, under the counting plugin: ``python guest_count.py ARTIFACT RUNTIME_ID INFERENCES``.

It marks, by turns, nothing at all and one inference on the first golden image, for the plugin to count what lies
between. Copies into and out of the runtime are left out: they are Python's. Everything it imports is in the kit that is
shipped to devices.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefer.contract import open_on_device
from edgefer.registry import discover, lookup

MARK = 0x4544
# Where a session of each container keeps the library's object, and the method of it that infers.
INFERENCE = {"tflite": ("_interpreter", "invoke"), "onnx": ("_session", "run")}

system_call: Any = ctypes.CDLL(None).syscall


def marked(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` between two marks, after an empty pair that shows what the marks themselves cost."""

    def run(*arguments: Any) -> Any:
        system_call(MARK, 1)
        system_call(MARK, 0)
        system_call(MARK, 1)
        answer = call(*arguments)
        system_call(MARK, 0)
        return answer

    return run


class Marking:
    """Stands in for the library's object: its one method is marked, everything else is passed on."""

    def __init__(self, library: Any, method: str) -> None:
        self._library = library
        setattr(self, method, marked(getattr(library, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)


def main(path: Path, runtime: str, inferences: int) -> None:
    """Load the file on one thread and infer."""
    artifact = open_on_device(path)
    session = lookup("runtime", runtime, discover("edgefer.runtimes", "RUNTIMES")).open(artifact, 1)
    feed = session.prepare(artifact.golden.inputs[:1])
    place, method = INFERENCE[artifact.container]
    setattr(session, place, Marking(getattr(session, place), method))
    for _ in range(inferences):
        session.run(feed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
