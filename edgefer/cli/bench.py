"""``edgefer bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.options import data_options
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.bench.record import RunRecord
    from edgefer.bench.runner import Job
    from edgefer.bench.target import Target


def _batch_sizes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """``1,8,64`` to a tuple of positive whole numbers, each once."""
    if value is None:
        return None
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise click.BadParameter(
            f"{value!r} is no list of batch sizes; write for example 1,8,64", context, parameter
        )
    return tuple(dict.fromkeys(int(word) for word in words))


@click.command(name="bench")
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", "target_id", default="cpu", show_default=True, help="Where to run: a file in targets/."
)
@data_options
@click.option(
    "--batch",
    "batches",
    metavar="N[,N...]",
    callback=_batch_sizes,
    help="Batch sizes.  [default: the target's]",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the target's]")
@click.option(
    "--min-time",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of samples an artifact and batch size, at least.  [default: the target's]",
)
@click.option("--accuracy-only", is_flag=True, help="Score on the data; measure no latency.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder for the RunRecords.",
)
@console.json_option
def command(
    artifacts: tuple[Path, ...],
    target_id: str,
    data: str | None,
    labels: str | None,
    batches: tuple[int, ...] | None,
    threads: int | None,
    min_time: float | None,
    accuracy_only: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Measure ARTIFACTS on a target: latency, FPS, cold start, memory, and F1 where labelled data is given.

    All artifacts are measured together, interleaved. Each leaves one RunRecord with its raw samples in the
    --out folder, named <artifact>.<format>.<target>.json; 'edgefer report' makes tables and plots of them.
    """
    from edgefer.artifact import open_artifact
    from edgefer.bench.record import save_record
    from edgefer.bench.runner import run
    from edgefer.bench.target import for_accuracy, load_target, require

    target = for_accuracy(load_target(target_id)) if accuracy_only else load_target(target_id)
    require(target)
    opened = [open_artifact(path) for path in artifacts]
    files = _record_files(opened, target, out)
    job = _job(target, data, labels, batches, threads, min_time, accuracy_only)
    with console.progress("bench") as advance:
        records = run(opened, job, advance)
    for record, file in zip(records, files, strict=True):
        save_record(record, file)
    _show(records, files, as_json)


def _job(
    target: Target,
    data: str | None,
    labels: str | None,
    batches: tuple[int, ...] | None,
    threads: int | None,
    min_time: float | None,
    accuracy_only: bool,
) -> Job:
    """The options as one job; without data there is no accuracy, and that is said."""
    from edgefer.bench.runner import Job
    from edgefer.bench.scoring import reader
    from edgefer.datasets.loading import locate

    if accuracy_only and batches:
        raise InputError(
            "--accuracy-only measures no latency, so --batch has no meaning", hint="drop one of them"
        )
    scored = accuracy_only or data is not None
    if not scored:
        console.note("no data given: accuracy not measured (give --data PATH or set EDGEFER_DATA)")
    return Job(
        target=target,
        plan=target.measure.plan(min_time),
        batches=() if accuracy_only else batches or target.batches,
        threads=threads or 0,
        data=reader(locate(data), labels) if scored else None,
    )


def _record_files(artifacts: Sequence[Artifact], target: Target, out: Path) -> list[Path]:
    """Where each record goes; two artifacts may not want the same place."""
    files = [out / f"{a.path.stem}.{a.format}.{target.id}.json" for a in artifacts]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise InputError(
                f"{artifacts[number].path}: its record {file} would be another artifact's too",
                hint="rename it, or bench it apart with another --out",
            )
    return files


def _show(records: Sequence[RunRecord], files: Sequence[Path], as_json: bool) -> None:
    """Print what was found, as JSON or as tables, and say what should not be overlooked."""
    from edgefer.bench.summary import remarks, summarize

    if as_json:
        pairs = zip(records, files, strict=True)
        console.print_json([{"record": str(file), **summarize(record)} for record, file in pairs])
    else:
        summaries = [summarize(record) for record in records]
        _print_latency([s for s in summaries if s["latency"]])
        _print_accuracy([s for s in summaries if s["accuracy"]])
    for record in records:
        for line in remarks(record):
            console.note(f"{record.artifact.name} {record.artifact.format}: {line}")
    console.note(f"{len(files)} record{'s' if len(files) > 1 else ''} in {files[0].parent}")


def _print_latency(summaries: Sequence[dict[str, Any]]) -> None:
    """One row an artifact and batch size; then one an artifact with size, cold start and memory."""
    if not summaries:
        return
    title = f"Latency on {summaries[0]['target']}, {summaries[0]['threads']} threads"
    columns = ("artifact", "format", "batch", "median ms", "p90 ms", "p99 ms", "FPS", "")
    console.print_table(title, columns, [_latency_row(s, t) for s in summaries for t in s["latency"]])
    starts = ("artifact", "format", "size kB", "cold start ms", "peak MB", "executed on")
    console.print_table("First start, in a process of its own", starts, [_start_row(s) for s in summaries])


def _latency_row(summary: dict[str, Any], timing: dict[str, Any]) -> tuple[Any, ...]:
    milliseconds = (f"{timing[key]:.3f}" for key in ("median_ms", "p90_ms", "p99_ms"))
    mark = "unstable" if timing["unstable"] else ""
    return (*_who(summary), timing["batch"], *milliseconds, f"{timing['fps']:,.0f}", mark)


def _start_row(summary: dict[str, Any]) -> tuple[str, ...]:
    cold, peak = f"{summary['cold_start_ms']:.1f}", f"{summary['peak_memory_bytes'] / 1e6:.0f}"
    return (*_who(summary), _kilobytes(summary), cold, peak, summary["executed_on"])


def _print_accuracy(summaries: Sequence[dict[str, Any]]) -> None:
    """One row an artifact; data that is synthetic is called so in the title."""
    if not summaries:
        return
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
        f"Accuracy on {first['data']}{kind}: {rows}", columns, [_score_row(s) for s in summaries]
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
