"""A program made ready to run: constants decoded, every operation bound to what computes it, unknown ones refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from edgefer.errors import InputError, TargetUnavailableError
from edgefer.registry import discover
from edgefer.runtimes.mil.blob import WeightFile
from edgefer.runtimes.mil.dtypes import FP16
from edgefer.runtimes.mil.model import BlobReference, Model, Operation, Output, Value
from edgefer.runtimes.mil.operation import Array, Op
from edgefer.runtimes.mil.packing import unpack
from edgefer.runtimes.mil.rounding import rounded

Weights = Callable[[str], WeightFile]
Input = str | Array | tuple[str | Array, ...]

# Where a single array would be taken for one of several.
_VARIADIC = frozenset({"values"})


@dataclass(frozen=True)
class Step:
    """One operation that depends on the program's input. ``constants`` are ready, ``bound`` are names of results."""

    operation: Operation
    op: Op
    constants: Mapping[str, Any]
    bound: Mapping[str, str | tuple[str | Array, ...]]

    @property
    def names(self) -> Iterator[str]:
        """The results that it reads."""
        for value in self.bound.values():
            yield from [value] if isinstance(value, str) else (one for one in value if isinstance(one, str))

    def compute(self, results: Mapping[str, Array]) -> tuple[Array, ...]:
        """Its results, rounded as the program's data types say.

        Raises:
            InputError: its inputs do not fit together.
        """
        arguments = {name: _look_up(value, results) for name, value in self.bound.items()}
        return call(self.operation, self.op, {**self.constants, **arguments})


@dataclass(frozen=True)
class Program:
    """``steps`` in order, and the constants that the program itself returns (usually none)."""

    arguments: tuple[Output, ...]
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]
    results: tuple[str, ...]

    @property
    def rounds(self) -> bool:
        """Whether any computed value is float16."""
        outputs = (output for step in self.steps for output in step.operation.outputs)
        return any(output.type is not None and output.type.dtype is FP16 for output in outputs)


def prepare(model: Model, weights: Weights) -> Program:
    """Decode the constants of ``model`` and bind its operations.

    Raises:
        TargetUnavailableError: an operation or an input of one is unknown here.
        InputError: a constant is damaged.
    """
    constants: dict[str, Array] = {}
    steps = []
    known = {argument.name for argument in model.arguments}
    for operation in model.operations:
        step = _step(operation, constants, weights)
        _refuse_missing(operation.place, step.names, known)
        known.update(output.name for output in operation.outputs)
        if step.bound or operation.type == "classify":
            steps.append(step)
        else:
            made = call(operation, step.op, step.constants)
            constants.update(zip((output.name for output in operation.outputs), made, strict=True))
    _refuse_missing("the program's end", model.results, known)
    kept = {name: constants[name] for name in model.results if name in constants}
    return Program(model.arguments, tuple(steps), kept, model.results)


def _refuse_missing(place: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"{place}: no operation before it gives {name}", hint=_REPORT)


@cache
def operations() -> Mapping[str, Op]:
    """All operations that can be evaluated, by their type in MIL."""
    return discover("edgefer.runtimes.mil.ops", "OPS")


def call(operation: Operation, op: Op, arguments: Mapping[str, Any]) -> tuple[Array, ...]:
    """Evaluate one operation and round its float16 results.

    Raises:
        InputError: its inputs do not fit together, or it has more or fewer results than the program says.
    """
    try:
        found = op.compute(**arguments)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise InputError(f"{operation.place} cannot be evaluated ({error})", hint=_REPORT) from error
    made = found if isinstance(found, tuple) else (found,)
    if len(made) != len(operation.outputs):
        raise InputError(f"{operation.place} gives {len(made)} results", hint=_REPORT)
    if op.exact:
        return made
    pairs = zip(made, operation.outputs, strict=True)
    return tuple(rounded(value) if _is_half(output) else value for value, output in pairs)


def _is_half(output: Output) -> bool:
    return output.type is not None and output.type.dtype is FP16


def _step(operation: Operation, constants: Mapping[str, Array], weights: Weights) -> Step:
    if operation.type == "const":
        if "val" not in operation.attributes:
            raise InputError(f"{operation.place}: a constant without a value", hint=_REPORT)
        value = _decoded(operation, operation.attributes["val"], weights)
        return Step(operation, Op("const", lambda: value, exact=True), {}, {})
    if operation.type not in operations():
        raise TargetUnavailableError(
            f"{operation.place}: the reference executor does not know {operation.type}",
            hint="run the package on a Mac, or report the network so that the operation is added",
        )
    op = operations()[operation.type]
    inputs = {
        name: _bind(operation, name, bindings, constants, weights)
        for name, bindings in (operation.inputs | _wrapped(operation.attributes)).items()
    }
    _refuse_unknown(operation, op, inputs)
    bound = {name: value for name, value in inputs.items() if _is_bound(value)}
    fixed = {name: _plain(_laid_out(op, name, value)) for name, value in inputs.items() if name not in bound}
    return Step(operation, op, fixed, bound)  # type: ignore[arg-type]


def _wrapped(attributes: Mapping[str, Value]) -> dict[str, tuple[str | Value, ...]]:
    """Compressed constants of iOS 16 have their inputs as attributes."""
    return {name: (value,) for name, value in attributes.items()}


def _bind(
    operation: Operation,
    name: str,
    bindings: tuple[str | Value, ...],
    constants: Mapping[str, Array],
    weights: Weights,
) -> Input:
    found = tuple(
        constants.get(binding, binding) if isinstance(binding, str) else _decoded(operation, binding, weights)
        for binding in bindings
    )
    if not found:
        raise InputError(f"{operation.place}: nothing is given for its input {name}", hint=_REPORT)
    return found if name in _VARIADIC else found[0]


def _is_bound(value: Input) -> bool:
    return isinstance(value, str) or (isinstance(value, tuple) and any(isinstance(one, str) for one in value))


def _laid_out(op: Op, name: str, value: Any) -> Any:
    return op.layouts[name](value) if name in op.layouts else value


def _plain(value: Any) -> Any:
    """A constant of rank 0 as a scalar, which is what operations take for their settings."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _refuse_unknown(operation: Operation, op: Op, inputs: Mapping[str, Any]) -> None:
    known = inspect.signature(op.compute).parameters
    if unknown := [name for name in inputs if name not in known]:
        raise TargetUnavailableError(
            f"{operation.place}: the reference executor does not know its input {unknown[0]}",
            hint="run the package on a Mac, or report the network so that it is added",
        )


def _decoded(operation: Operation, value: Value, weights: Weights) -> Array:
    """A constant as an array, with float16 held as float32."""
    array = _from_file(operation, value, weights) if isinstance(value, BlobReference) else value
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _from_file(operation: Operation, value: BlobReference, weights: Weights) -> Array:
    blob = weights(value.file).at(value.offset)
    sizes = [size for size in value.type.shape if size is not None]
    count = int(np.prod(sizes))
    if blob.dtype != value.type.dtype or blob.values != count:
        raise InputError(
            f"{operation.place}: its constant should be {count} values of {value.type.dtype.name}, "
            f"the weight file holds {blob.values} of {blob.dtype.name}",
            hint="the package was damaged; copy or convert it again",
        )
    return unpack(blob.data, count, blob.dtype).reshape(sizes)


def _look_up(value: str | tuple[str | Array, ...], results: Mapping[str, Array]) -> Any:
    if isinstance(value, str):
        return results[value]
    return tuple(results[one] if isinstance(one, str) else one for one in value)


_REPORT = "the package was damaged, or the network is one to report"
