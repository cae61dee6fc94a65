"""Runs a prepared program on any number of images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np

from edgefer.errors import InputError
from edgefer.runtimes.mil.batching import for_batches, rows_a_pass
from edgefer.runtimes.mil.operation import Array
from edgefer.runtimes.mil.program import Program

Observe = Callable[[str, Array], None]


class Executor:
    """Evaluates a program in float32, or with every float16 result rounded to float16 once its sums are done.

    A program whose inputs have any number of rows gets all of them at once. Another gets them together where it keeps
    them apart, a few at a time so that memory stays small; otherwise one by one. ``precision`` says in words which
    arithmetic it is.
    """

    def __init__(self, program: Program) -> None:
        takes_any = all(
            argument.type and argument.type.shape[:1] == (None,) for argument in program.arguments
        )
        opened = None if takes_any else for_batches(program)
        self.batches = takes_any or opened is not None
        self.precision = "float16 rounding" if program.rounds else "float32"
        self._program = opened or program
        self._kept_apart = opened is not None
        self._rows = sys.maxsize if takes_any else 1
        if opened:
            self._rows = rows_a_pass(opened)
        self._last_uses = _last_uses(self._program)

    def run(self, feed: Mapping[str, Array], *, observe: Observe | None = None) -> dict[str, Array]:
        """The program's results for ``feed``: one array an input, (N, ...); float16 values come as float32.

        ``observe(name, value)`` is called with each input and each result that depends on one, (rows, ...), in the
        program's order, and again for every few rows; it must not change or keep ``value``.

        Raises:
            InputError: an input is missing or has another shape, or the operations do not fit together.
        """
        count = self._refuse_other_inputs(feed)
        tell = observe or _ignore
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged network's infinities are its answer
            passes = [
                self._pass({name: value[start : start + self._rows] for name, value in feed.items()}, tell)
                for start in range(0, count, self._rows)
            ]
        return {name: np.concatenate([found[name] for found in passes]) for name in self._program.results}

    def _pass(self, feed: Mapping[str, Array], tell: Observe) -> dict[str, Array]:
        results: dict[str, Array] = {**self._program.constants, **feed}
        rows = len(next(iter(feed.values())))
        for name, value in feed.items():
            tell(name, value)
        for step, unused in zip(self._program.steps, self._last_uses, strict=True):
            for output, value in zip(step.operation.outputs, step.compute(results), strict=True):
                if self._kept_apart and value.shape[:1] != (rows,):
                    raise InputError(
                        f"{step.operation.place} gives {value.shape} for {rows} images",
                        hint="report this network",
                    )
                results[output.name] = value
                tell(output.name, value)
            for name in unused:
                del results[name]
        return {name: results[name] for name in self._program.results}

    def _refuse_other_inputs(self, feed: Mapping[str, Array]) -> int:
        """The number of rows, if ``feed`` has what the program takes."""
        for argument in self._program.arguments:
            value = feed.get(argument.name)
            wanted = argument.type.shape if argument.type else ()
            fits = value is not None and all(
                size in (None, actual) for size, actual in zip(wanted[1:], value.shape[1:], strict=False)
            )
            if value is None or value.ndim != len(wanted) or not fits:
                given = "is missing" if value is None else f"has shape {value.shape}"
                raise InputError(f"the input {argument.name} of shape {wanted} {given}")
        (count,) = {len(value) for value in feed.values()}
        return count


def _last_uses(program: Program) -> list[list[str]]:
    """For each step, the results that no later one reads."""
    seen = set(program.results) | set(program.constants)
    unused: list[list[str]] = []
    for step in reversed(program.steps):
        made = [output.name for output in step.operation.outputs]
        fresh = [name for name in dict.fromkeys([*step.names, *made]) if name not in seen]
        seen.update(fresh)
        unused.append(fresh)
    return unused[::-1]


def _ignore(name: str, value: Array) -> None:
    del name, value
