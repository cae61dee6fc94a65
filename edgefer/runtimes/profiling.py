"""What a runtime's own profiler tells of one inference: its operations in order, each with its time and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Shape = tuple[int, ...]
QUIET = 5  # of so many runs the one that took least counts


@dataclass(frozen=True)
class TensorType:
    """Element type as the runtime calls it (``float``, ``uint8``, ``int8``), and shape with the batch."""

    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Op:
    """One operation as it really ran: ``kind`` is its kernel's name, ``where`` the kernel set or execution provider.

    ``ns`` is the mean of the profiled runs. ``inputs`` and ``outputs`` are empty if the profiler tells no shapes.
    """

    name: str
    kind: str
    where: str
    ns: float
    inputs: tuple[TensorType, ...] = ()
    outputs: tuple[TensorType, ...] = ()


@dataclass(frozen=True)
class Profile:
    """The mean of the quietest fifth of the profiled runs, ``runs`` of them: what else the machine does only adds time.

    ``whole_ns`` is the runtime's own time of a whole profiled inference, its operations and all between them.
    ``source`` says whose profiler it was, ``resolution_ns`` how fine its clock is.
    """

    ops: tuple[Op, ...]
    whole_ns: float
    runs: int
    source: str
    resolution_ns: float


@dataclass(frozen=True)
class Run:
    """One profiled inference."""

    whole_ns: float
    ops: tuple[Op, ...]


def quietest(runs: Sequence[Run], source: str, resolution_ns: float) -> Profile:
    """Several runs as one profile.

    Raises:
        ValueError: there are none, or they did not do the same operations in the same order.
    """
    kinds = {tuple(op.kind for op in run.ops) for run in runs}
    if len(kinds) != 1:
        raise ValueError(f"{len(runs)} runs did {len(kinds)} different lists of operations")
    quiet = sorted(runs, key=lambda run: run.whole_ns)[: -(-len(runs) // QUIET)]
    ops = tuple(
        replace(op, ns=sum(run.ops[number].ns for run in quiet) / len(quiet))
        for number, op in enumerate(quiet[0].ops)
    )
    return Profile(ops, sum(run.whole_ns for run in quiet) / len(quiet), len(quiet), source, resolution_ns)
