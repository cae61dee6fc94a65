"""What the variants of one run say beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgefer.bench.comparing import paired
from edgefer.bench.record import BatchTiming

ALL, WITH_ENGINE, CPU = "", "cpu+ne", "cpu"


def faster_on_cpu(timings: Mapping[str, Sequence[BatchTiming]]) -> Iterator[str]:
    """One sentence a batch size at which Core ML's CPU alone beats all that may use the Neural Engine.

    ``timings`` are by the variant's name, as ``targets/coreml.toml`` has them; what is faster, ``edgefer compare``'s
    rule says. Handing a tiny network over to the Neural Engine can take longer than running it.
    """
    for alone in timings.get(CPU, ()):
        others = [
            timing
            for name in (ALL, WITH_ENGINE)
            for timing in timings.get(name, ())
            if timing.batch == alone.batch
        ]
        if others and all(_faster(alone, timing) for timing in others):
            mine, best = alone.latency_ns() / 1e6, min(timing.latency_ns() for timing in others) / 1e6
            yield (
                f"batch {alone.batch}: the CPU alone is faster than with the Neural Engine, "
                f"{mine:.3f} against {best:.3f} ms"
            )


def _faster(one: BatchTiming, other: BatchTiming) -> bool:
    high = paired(other, one).high
    return high is not None and high < 1


def fallen_to_cpu(details: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One sentence a setting in which nodes ran on the CPU instead of the card, all of them by name.

    ``details`` are what the runtime told (``edgefer.runtimes.onnx_cuda``), by the variant's name.
    """
    for variant, told in details.items():
        if nodes := told.get("on_cpu"):
            where = f"with {variant}, " if variant else ""
            yield f"{where}{len(nodes)} nodes ran on the CPU: {', '.join(nodes)}"
