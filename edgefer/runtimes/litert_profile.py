"""LiteRT's profile: each operation's time, also of those that XNNPACK runs inside its delegate.

The Python interpreter has no profiler; the library behind it has one, reached by ``edgefer.runtimes.litert_c``.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgefer.contract import Loadable
from edgefer.errors import EdgeferError
from edgefer.quieting import quiet_native
from edgefer.runtimes.litert_c import CompiledModel, Event, Library
from edgefer.runtimes.profiling import Op, Profile, Run, Shape, quietest

MODES = {"XNNPACK": "delegate", "builtin kernels": "builtin", "reference kernels": "reference"}
# LiteRtProfilerEventType
DEFAULT, OPERATOR, DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR = 1, 2, 4, 8
INVOKE = "Invoke"
DELEGATE = "delegate"


def profile(kernels: str, artifact: Loadable, threads: int, shape: Shape, runs: int) -> Profile:
    """Profile ``runs`` inferences of an input of ``shape`` (batch first), after a quarter as many uncounted ones.

    The input is what the memory holds: these kernels take the same time for all values.

    Raises:
        TargetUnavailableError: the installed package has no such library.
        EdgeferError: it refuses the file.
    """
    with quiet_native(), Library() as library:
        model = CompiledModel(library, artifact, MODES[kernels], threads, shape)
        for _ in range(runs // 4 + 1):
            model.run()
        rounds = [model.profiled_run() for _ in range(runs)]
    return read(rounds, kernels)


def read(rounds: Sequence[Sequence[Event]], kernels: str) -> Profile:
    """Rounds of (tag, event type, microseconds) as one profile.

    Raises:
        EdgeferError: the rounds differ, or one holds no inference.
    """
    try:
        return quietest([_run(events, kernels) for events in rounds], "LiteRT's profiler", 1e3)
    except ValueError as error:
        raise EdgeferError(f"LiteRT's profile cannot be averaged: {error}") from error


def _run(events: Sequence[Event], kernels: str) -> Run:
    whole = [us for tag, kind, us in events if tag == INVOKE and kind == DEFAULT]
    if len(whole) != 1:
        raise ValueError(f"{len(whole)} inferences in one round")
    return Run(1e3 * whole[0], tuple(op for event in events if (op := _op(event, kernels))))


def _op(event: Event, kernels: str) -> Op | None:
    """An operator's event; None for a delegate's as a whole, whose operations have events of their own."""
    tag, kind, us = event
    if kind in (DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR):
        return Op(tag, tag, kernels, us * 1e3)
    if kind != OPERATOR or DELEGATE in tag.lower():
        return None
    return Op(tag, tag, "builtin kernels" if kernels == "XNNPACK" else kernels, us * 1e3)
