"""Whether two records may be compared at all: what explains a difference of times must be equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgefer.bench.record import RunRecord
from edgefer.spec import Frozen

ENVIRONMENT = (
    "cpu", "board", "flags", "logical_cores", "usable_cores", "governor", "power", "os", "machine", "python", "threads",
)  # fmt: skip
"""Not among them: what changes from minute to minute and stands in receipts, and versions of what did not run."""


class Difference(Frozen, frozen=True):
    """A field that differs between A and B, as text."""

    field: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.field} ({self.a or 'none'} and {self.b or 'none'})"


def differences(a: RunRecord, b: RunRecord) -> list[Difference]:
    """Every field in which the circumstances of two records differ, of those that both records have.

    What they were executed on, which holds the runtime's version and kernels, is compared within a container only: a
    TFLite file beside an ONNX file is a comparison of runtimes, and meant to be.
    """
    fields = dict(_circumstances(a))
    pairs = ((name, fields[name], value) for name, value in _circumstances(b) if name in fields)
    found = [
        Difference(field=name, a=_text(mine), b=_text(theirs))
        for name, mine, theirs in pairs
        if mine != theirs
    ]
    if _container(a) == _container(b) and a.executed_on != b.executed_on:
        found.append(Difference(field="executed on", a=a.executed_on, b=b.executed_on))
    return found


def _circumstances(record: RunRecord) -> Iterator[tuple[str, Any]]:
    yield "target", record.target
    for name in ENVIRONMENT:
        if name in record.environment:
            yield name, record.environment[name]
    yield "edgefer", record.environment.get("packages", {}).get("edgefer")


def _container(record: RunRecord) -> str:
    return record.artifact.format.partition("-")[0]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
