"""Explanation: what was found out about one file's time on one target. Sentences stand beside the figures they rest on.

Schema history: 1 - first version.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from edgefer.spec import Frozen

SCHEMA = 1

Group = Literal["dense", "depthwise", "quantize", "layout", "pool", "elementwise"]
Numbers = Literal["int8", "float", ""]


class Layer(Frozen, frozen=True):
    """One operation as it ran. ``ns`` is its mean time in one profiled inference, ``macs`` are an image's, None if
    the file does not tell them for this operation. ``numbers`` is what a layer with weights computes in, else "".
    """

    name: str
    kind: str
    where: str
    group: Group
    ns: float
    numbers: Numbers = ""
    macs: int | None = None


class Peak(Frozen, frozen=True):
    """The best that a large matrix product reached: through the same runtime, on as many threads, in the same run."""

    numbers: Literal["int8", "fp32"]
    macs_per_s: float
    how: str


class Finding(Frozen, frozen=True):
    """One plain sentence, and the figures in it by name."""

    id: str
    text: str
    figures: dict[str, Any]


class Against(Frozen, frozen=True):
    """The other file, timed in the same interleaved run and profiled alike. ``by_group_ns`` is a profiled inference."""

    name: str
    format: str
    sha256: str
    latency_ns: float
    by_group_ns: dict[str, float]


class Explanation(Frozen, frozen=True):
    """All that was found out; every time in it was measured on the machine that ``environment`` describes.

    ``latency_ns`` is the median of runs without a profiler; ``profiled_ns`` the mean of those with it, ``layers`` and
    what lies between them. ``macs`` are an image's, None if the file's contract does not tell them.
    """

    schema: int
    name: str
    format: str
    sha256: str
    target: str
    executed_on: str
    started: str
    environment: dict[str, Any]
    batch: int
    source: str
    resolution_ns: float
    runs: int
    latency_ns: float
    profiled_ns: float
    layers: tuple[Layer, ...]
    peaks: tuple[Peak, ...]
    macs: int | None = None
    weights: int = 0
    zeros: int = 0
    against: Against | None = None
    unstable: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def layers_ns(self) -> float:
        """Sum of the layers in one profiled inference."""
        return sum(layer.ns for layer in self.layers)

    @property
    def macs_per_s(self) -> float | None:
        """What the file reached without a profiler."""
        return None if self.macs is None else self.macs * self.batch / (self.latency_ns / 1e9)

    @property
    def integer(self) -> bool:
        """Whether its format promises integer arithmetic."""
        return self.int8 or self.format.endswith("-int16x8")

    @property
    def int8(self) -> bool:
        """Whether it promises products of int8 with int8."""
        return self.format.rpartition("-")[2] in ("int8", "dynamic")

    @property
    def peak(self) -> Peak:
        """The peak of the arithmetic that the format promises, or fp32's where none was measured, as with int16."""
        wanted = "int8" if self.int8 else "fp32"
        return next(peak for peak in self.peaks if peak.numbers == wanted)

    def by_group(self) -> dict[str, float]:
        """Nanoseconds of each group of layers in one profiled inference, the largest first."""
        return by_group(self.layers)


def by_group(layers: Iterable[Layer]) -> dict[str, float]:
    """Nanoseconds of each group of layers, the largest first."""
    sums: dict[str, float] = {}
    for layer in layers:
        sums[layer.group] = sums.get(layer.group, 0.0) + layer.ns
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
