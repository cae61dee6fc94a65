"""What ``edgefer bench`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefer.cli import console
from edgefer.cli.bench_emulated import print_parity

if TYPE_CHECKING:
    from edgefer.bench.record import RunRecord
    from edgefer.bench.scenarios import Scenario


def show(records: Sequence[RunRecord], files: Sequence[Path], as_json: bool) -> None:
    """Print what was found, as JSON or as tables, and say what should not be overlooked."""
    from edgefer.bench.summary import remarks, summarize

    folders = _by_folder(records, files)
    if as_json:
        pairs = zip(records, files, strict=True)
        console.print_json([{"record": str(file), **summarize(record)} for record, file in pairs])
    else:
        for folder, found in folders.items():
            _print_tables(found, folder.name if len(folders) > 1 else "")
    for folder, found in folders.items():
        where = f"{folder.name}: " if len(folders) > 1 else ""
        for record in found:
            for line in remarks(record):
                console.note(f"{where}{record.artifact.name} {record.artifact.format}: {line}")
    named = ", ".join(map(str, folders))
    console.note(f"{len(files)} record{'s' if len(files) > 1 else ''} in {named}")


def _by_folder(records: Sequence[RunRecord], files: Sequence[Path]) -> dict[Path, list[RunRecord]]:
    """Records by where they were written: where several machines measured, each has its own."""
    folders: dict[Path, list[RunRecord]] = {}
    for record, file in zip(records, files, strict=True):
        folders.setdefault(file.parent, []).append(record)
    return folders


def _print_tables(records: Sequence[RunRecord], machine: str) -> None:
    """What one machine measured; ``machine`` names it where there are several."""
    from edgefer.bench.summary import summarize

    summaries = [summarize(record) for record in records]
    _print_latency([s for s in summaries if s["latency"]], machine)
    _print_variants([s for s in summaries if s["variants"]], machine)
    _print_accuracy([s for s in summaries if s["accuracy"]], machine)
    print_parity([s for s in summaries if s["instructions"]])


def _on(machine: str) -> str:
    return f" ({machine})" if machine else ""


def _print_latency(summaries: Sequence[dict[str, Any]], machine: str) -> None:
    """One row an artifact and batch size; then one an artifact: MLPerf's scenarios; size, first start, memory."""
    if not summaries:
        return
    title = f"Latency on {summaries[0]['target']}, {summaries[0]['threads']} threads{_on(machine)}"
    counted = any(t["millijoules"] is not None for s in summaries for t in s["latency"])
    energy = ("mJ an image",) if counted else ()
    columns = ("artifact", "format", "batch", "median ms", "95 %", "p90 ms", "p99 ms", "FPS", *energy, "")
    rows = [_latency_row(s, t, counted) for s in summaries for t in s["latency"]]
    console.print_table(title, columns, rows)
    named = [f"{each.name}, {_MEASURES[each.name]}" for each in summaries[0]["scenarios"]]
    rows = [(*_who(s), *map(_scenario, s["scenarios"])) for s in summaries]
    console.print_table(f"MLPerf's scenarios{_on(machine)}", ("artifact", "format", *named), rows)
    starts = ("artifact", "format", "size kB", "cold start ms", "warm start ms", "peak MB", "executed on")
    title = f"First start, in a process of its own{_on(machine)}"
    console.print_table(title, starts, [_start_row(s) for s in summaries])
    if not counted:
        for reason in dict.fromkeys(s["energy"] for s in summaries if s["energy"]):
            console.note(reason)


_MEASURES = {"SingleStream": "p90 ms", "MultiStream": "p99 ms", "Offline": "images/s"}


def _latency_row(summary: dict[str, Any], timing: dict[str, Any], counted: bool) -> tuple[Any, ...]:
    median, p90, p99 = (f"{timing[key]:.3f}" for key in ("median_ms", "p90_ms", "p99_ms"))
    interval = "-".join(f"{edge:.3f}" for edge in timing["median_interval_ms"])
    energy = (_number(timing["millijoules"], "{:.3g}"),) if counted else ()
    speed = f"{timing['fps']:,.0f}"
    return (
        *_who(summary),
        timing["batch"],
        median,
        interval,
        p90,
        p99,
        speed,
        *energy,
        _mark(summary, timing),
    )


def _scenario(scenario: Scenario) -> str:
    """The figure and its batch size, or why there is none."""
    if scenario.value is None:
        return scenario.missing
    if scenario.unit == "ms":
        return f"{scenario.value:.3f}"
    return f"{scenario.value:,.0f} (batch {scenario.batch})"


def _number(value: float | None, shape: str) -> str:
    return "" if value is None else shape.format(value)


def _mark(summary: dict[str, Any], timing: dict[str, Any]) -> str:
    if summary["invalid"]:
        return "INVALID"
    return "unstable" if timing["unstable"] else ""


def _print_variants(summaries: Sequence[dict[str, Any]], machine: str) -> None:
    """One row an artifact, variant and batch size: the same files with other settings, in the same run."""
    if not summaries:
        return
    columns = ("artifact", "format", "with", "batch", "median ms", "FPS", "cold start ms", "")
    rows = [
        (
            *_who(s),
            v["name"],
            t["batch"],
            f"{t['median_ms']:.3f}",
            f"{t['fps']:,.0f}",
            _number(v["cold_start_ms"], "{:.1f}"),
            _mark(s, t),
        )
        for s in summaries
        for v in s["variants"]
        for t in v["latency"]
    ]
    console.print_table(f"The same files with other settings of the runtime{_on(machine)}", columns, rows)


def _start_row(summary: dict[str, Any]) -> tuple[str, ...]:
    cold, peak = f"{summary['cold_start_ms']:.1f}", f"{summary['peak_memory_bytes'] / 1e6:.0f}"
    warm = _number(summary["warm_start_ms"], "{:.1f}")
    return (*_who(summary), _kilobytes(summary), cold, warm, peak, summary["executed_on"])


def _print_accuracy(summaries: Sequence[dict[str, Any]], machine: str) -> None:
    """A table for each set of rows, one row an artifact; data that is synthetic is called so in the title."""
    for rows in dict.fromkeys(_rows(s["accuracy"]) for s in summaries):
        _print_scores([s for s in summaries if _rows(s["accuracy"]) == rows], machine)


def _rows(accuracy: dict[str, Any]) -> tuple[str, int, int]:
    """The data and its rows, whose hash is another one for each size of image."""
    return accuracy["data"], accuracy["full"].n, accuracy["clean"].n


def _print_scores(summaries: Sequence[dict[str, Any]], machine: str) -> None:
    first = summaries[0]["accuracy"]
    kind = " (SYNTHETIC faces)" if first["synthetic"] else ""
    rows = f"{first['full'].n} test rows, {first['clean'].n} without leaked ones"
    columns = (
        "artifact",
        "format",
        "size kB",
        "weighted F1",
        "macro F1",
        "F1 drop",
        "clean F1",
        "clean drop",
    )
    console.print_table(
        f"Accuracy on {first['data']}{kind}: {rows}{_on(machine)}",
        columns,
        [_score_row(s) for s in summaries],
    )


def _score_row(summary: dict[str, Any]) -> tuple[str, ...]:
    """F1 in 0..1, drops in points."""
    accuracy = summary["accuracy"]
    return (
        *_who(summary),
        _kilobytes(summary),
        f"{accuracy['full'].weighted_f1:.4f}",
        f"{accuracy['full'].macro_f1:.4f}",
        _points(accuracy["f1_drop"]),
        f"{accuracy['clean'].weighted_f1:.4f}",
        _points(accuracy["f1_drop_clean"]),
    )


def _who(summary: dict[str, Any]) -> tuple[str, str]:
    return summary["artifact"], summary["format"]


def _kilobytes(summary: dict[str, Any]) -> str:
    return f"{summary['bytes'] / 1e3:,.0f}"


def _points(drop: float | None) -> str:
    return "unknown" if drop is None else f"{drop:+.2f}"
