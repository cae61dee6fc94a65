"""ONNX Runtime's profile: the JSON that ``SessionOptions.enable_profiling`` writes, read back as operations.

Source: the trace's own events. Each executed node leaves one of category ``Node`` whose name ends in
``_kernel_time``, with the operator, the execution provider and the shapes; each call one ``model_run`` of category
``Session``. Times are whole microseconds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from edgefer.errors import EdgeferError
from edgefer.runtimes.profiling import Op, Profile, Run, TensorType, quietest

KERNEL = "_kernel_time"
WHOLE = "model_run"


def record(
    open_session: Callable[[Any], Any], run: Callable[[Any], None], options: Any, runs: int
) -> Profile:
    """Profile ``runs`` calls of ``run(session)`` after a quarter as many uncounted ones.

    ``open_session`` makes a session of ``options``, on which profiling is switched on here.
    """
    with tempfile.TemporaryDirectory(prefix="edgefer-profile-") as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(options)
        for _ in range(runs + runs // 4 + 1):
            run(session)
        return read(json.loads(Path(session.end_profiling()).read_text(encoding="utf-8")), runs)


def read(events: Iterable[dict[str, Any]], runs: int) -> Profile:
    """The last ``runs`` calls of a trace.

    Raises:
        EdgeferError: the trace holds fewer calls, or they differ.
    """
    calls: list[Run] = []
    pending: list[Op] = []
    for event in sorted((each for each in events if each.get("ph") == "X"), key=_end):
        if event["cat"] == "Node" and event["name"].endswith(KERNEL):
            pending.append(_op(event))
        elif event["cat"] == "Session" and event["name"] == WHOLE:
            calls.append(Run(event["dur"] * 1e3, tuple(pending)))
            pending = []
    if len(calls) < runs:
        raise EdgeferError(f"ONNX Runtime's profile holds {len(calls)} of {runs} runs")
    try:
        return quietest(calls[-runs:], "ONNX Runtime's profiler", 1e3)
    except ValueError as error:
        raise EdgeferError(f"ONNX Runtime's profile cannot be averaged: {error}") from error


def _end(event: dict[str, Any]) -> int:
    """When it ended: a call ends behind its nodes, and they stand in the order of their ends."""
    return int(event["ts"]) + int(event["dur"])


def _op(event: dict[str, Any]) -> Op:
    arguments = event["args"]
    return Op(
        name=event["name"].removesuffix(KERNEL),
        kind=arguments["op_name"],
        where=arguments.get("provider", ""),
        ns=event["dur"] * 1e3,
        inputs=_types(arguments.get("input_type_shape", ())),
        outputs=_types(arguments.get("output_type_shape", ())),
    )


def _types(stated: Iterable[dict[str, list[int]]]) -> tuple[TensorType, ...]:
    return tuple(TensorType(dtype, tuple(shape)) for each in stated for dtype, shape in each.items())
