"""Many images at once through a program that was made for one.

Core ML packages have a fixed batch of 1, written into constants such as the shape of a reshape. Where every result
keeps the batch as its first axis and no operation works along it, the rows of a batch do not meet, and the program can
be run on all of them together once those constants are opened.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgefer.runtimes.mil.model import Output
from edgefer.runtimes.mil.operation import Array, integers
from edgefer.runtimes.mil.program import Program, Step

# Float32 values that the largest result of one pass may have; beyond the processor's caches nothing is gained.
PASS_VALUES = 1 << 21

# Without an axis these take all values alike, whatever they belong to.
_ELEMENTWISE_WITHOUT_AXIS = frozenset({"quantize", "dequantize"})


def for_batches(program: Program) -> Program | None:
    """``program`` with its batch opened, or None if its rows cannot be told apart."""
    ranks: dict[str, int] = {}
    _note_ranks(ranks, program.arguments)
    steps = []
    for step in program.steps:
        if not _keeps_rows_apart(step, ranks):
            return None
        _note_ranks(ranks, step.operation.outputs)
        opening = _OPENINGS.get(step.operation.type)
        steps.append(replace(step, constants=opening(step)) if opening else step)
    return replace(program, steps=tuple(steps))


def _note_ranks(ranks: dict[str, int], outputs: Iterable[Output]) -> None:
    ranks.update((output.name, len(output.type.shape)) for output in outputs if output.type is not None)


def rows_a_pass(program: Program) -> int:
    """How many images keep the largest intermediate result within ``PASS_VALUES``; at least one."""
    return max(1, PASS_VALUES // max(_sizes(program), default=PASS_VALUES))


def _sizes(program: Program) -> Iterator[int]:
    for step in program.steps:
        for output in step.operation.outputs:
            if output.type is not None:
                yield max(1, math.prod(size or 1 for size in output.type.shape)) * _window(step)


def _window(step: Step) -> int:
    """How much wider than its result an operation's scratch is: a convolution unrolls its windows."""
    weight: Array | None = step.constants.get("weight")
    if step.operation.type != "conv" or weight is None or weight.shape[1] == 1:
        return 1
    return max(1, math.prod(weight.shape[1:]) // len(weight))


def _keeps_rows_apart(step: Step, ranks: Mapping[str, int]) -> bool:
    """Whether every result has the batch as its first axis and nothing is done along it."""
    if step.operation.type == "classify":
        return True
    types = [output.type for output in step.operation.outputs]
    if not all(type_ is not None and type_.shape[:1] in ((1,), (None,)) for type_ in types):
        return False
    if step.operation.type == "transpose":
        return integers(step.constants["perm"])[0] == 0
    return all(axis for axis in _axes(step, ranks))


def _axes(step: Step, ranks: Mapping[str, int]) -> Iterator[int | None]:
    """The axes an operation works along, counted from the front; None means all of them."""
    parameters = inspect.signature(step.op.compute).parameters
    for name in ("axis", "axes"):
        if name not in parameters:
            continue
        value = step.constants.get(name, parameters[name].default)
        if value is None and step.operation.type in _ELEMENTWISE_WITHOUT_AXIS:
            continue
        rank = ranks[next(step.names)] + _added_axes(step)
        yield from (None,) if value is None else (int(axis) % rank for axis in np.atleast_1d(value))


def _added_axes(step: Step) -> int:
    """How many axes the result has more than the input; those of such operations count in the result's."""
    if step.operation.type == "stack":
        return 1
    return len(np.atleast_1d(step.constants["axes"])) if step.operation.type == "expand_dims" else 0


def _open_reshape(step: Step) -> Mapping[str, Any]:
    """All rows in front, the rest as the program declares its result."""
    (output,) = step.operation.outputs
    assert output.type is not None
    return {**step.constants, "shape": np.array([-1, *(size or 0 for size in output.type.shape[1:])])}


def _open_slice_by_index(step: Step) -> Mapping[str, Any]:
    rank = len(step.constants["begin"])
    masks = {}
    for name in ("begin_mask", "end_mask"):
        mask = step.constants.get(name)
        masks[name] = np.array([True, *(mask[1:] if mask is not None else [False] * (rank - 1))])
    return {**step.constants, **masks}


def _open_slice_by_size(step: Step) -> Mapping[str, Any]:
    return {**step.constants, "size": np.array([-1, *step.constants["size"][1:]])}


_OPENINGS: Mapping[str, Callable[[Step], Mapping[str, Any]]] = {
    "reshape": _open_reshape,
    "slice_by_index": _open_slice_by_index,
    "slice_by_size": _open_slice_by_size,
}
