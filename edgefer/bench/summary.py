"""The figures of one record in plain values, derived from its raw samples."""

from __future__ import annotations

from typing import Any

from edgefer.bench.intervals import median_interval
from edgefer.bench.record import Accuracy, BatchTiming, ColdStart, RunRecord, Variant
from edgefer.bench.scenarios import scenarios


def summarize(record: RunRecord) -> dict[str, Any]:
    """What a reader wants to know of a record; latency in milliseconds, drops in points."""
    return {
        "artifact": record.artifact.name,
        "format": record.artifact.format,
        "bytes": record.artifact.bytes,
        "target": record.target,
        "kind": record.kind,
        "executed_on": record.executed_on,
        "threads": record.environment.get("threads"),
        "latency": [summarize_timing(timing) for timing in record.timings],
        "scenarios": scenarios(record.timings) if record.timings else (),
        "cold_start_ms": _start(record.cold_start),
        "warm_start_ms": _warm_start(record.cold_start),
        "peak_memory_bytes": record.peak_memory_bytes,
        "energy": record.environment.get("energy"),
        "accuracy": summarize_accuracy(record.accuracy) if record.accuracy else None,
        "kernels": record.kernels,
        "parity": record.parity,
        "instructions": record.instructions,
        "variants": [summarize_variant(variant) for variant in record.variants],
        "notes": record.notes,
        "invalid": record.invalid,
    }


def summarize_variant(variant: Variant) -> dict[str, Any]:
    """The same of another setting of the runtime."""
    return {
        "name": variant.name,
        "executed_on": variant.executed_on,
        "latency": [summarize_timing(timing) for timing in variant.timings],
        "cold_start_ms": _start(variant.cold_start),
    }


def _start(cold: ColdStart | None) -> float | None:
    """Milliseconds to load and for the first inference."""
    return (cold.load_ns + cold.first_ns) / 1e6 if cold else None


def _warm_start(cold: ColdStart | None) -> float | None:
    """The same once more in that process."""
    if cold is None or cold.warm_load_ns is None or cold.warm_first_ns is None:
        return None
    return (cold.warm_load_ns + cold.warm_first_ns) / 1e6


def summarize_timing(timing: BatchTiming) -> dict[str, Any]:
    """Latency quantiles in milliseconds and FPS at one batch size.

    ``median_interval_ms`` is the median's 95 % bootstrap interval, ``millijoules`` the energy of one image (None: no
    counter), ``others`` the share of the machine that others used meanwhile (None: not told).
    """
    quantiles = {"median_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}
    latency = {key: timing.latency_ns(quantile) / 1e6 for key, quantile in quantiles.items()}
    return {
        "batch": timing.batch,
        **latency,
        "median_interval_ms": [edge / 1e6 for edge in median_interval(timing)],
        "fps": timing.fps,
        "millijoules": timing.millijoules,
        "others": timing.receipt.others if timing.receipt else None,
        "unstable": timing.unstable,
    }


def summarize_accuracy(accuracy: Accuracy) -> dict[str, Any]:
    """Scores and drops in points, with what they were taken on."""
    return {
        "data": accuracy.data,
        "synthetic": accuracy.synthetic,
        "full": accuracy.full,
        "clean": accuracy.clean,
        "f1_drop": accuracy.f1_drop,
        "f1_drop_clean": accuracy.f1_drop_clean,
        "drop_skipped": accuracy.drop_skipped,
    }


def remarks(record: RunRecord) -> list[str]:
    """What should not be overlooked: why it is invalid, notes, unstable timings, the reason for a missing F1 drop."""
    lines = [f"INVALID: {record.invalid}"] if record.invalid else []
    lines += record.notes
    lines += [f"batch {t.batch} is unstable: {t.unstable}" for t in record.timings if t.unstable]
    if record.accuracy and record.accuracy.drop_skipped:
        lines.append(f"no F1 drop: {record.accuracy.drop_skipped}")
    return lines
