"""``edgefer bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.bench_emulated import emulated, emulation_options, refuse_options
from edgefer.cli.bench_hosts import files_of_host, host_options, on_hosts
from edgefer.cli.bench_tables import show
from edgefer.cli.options import batch_sizes, data_options, records_option, timing_options
from edgefer.cli.record_places import check_replaced, record_files, record_place

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.bench.record import RunRecord
    from edgefer.bench.runner import Job
    from edgefer.bench.target import Target


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
    callback=batch_sizes,
    help="Batch sizes.  [default: the target's]",
)
@timing_options
@click.option("--accuracy-only", is_flag=True, help="Score on the data; measure no latency.")
@emulation_options
@records_option
@host_options
@console.json_option
def command(
    artifacts: tuple[Path, ...],
    target_id: str,
    data: str | None,
    labels: str | None,
    batches: tuple[int, ...] | None,
    threads: int | None,
    min_time: float | None,
    kernels: str | None,
    accuracy_only: bool,
    emulate: bool,
    out: Path,
    host: tuple[str, ...],
    remote_python: str | None,
    remote_cache: bool | None,
    as_json: bool,
    **emulation: Any,
) -> None:
    """Measure ARTIFACTS on a target: latency, FPS, cold start, memory, and F1 where labelled data is given.

    All artifacts are measured together, interleaved. Each leaves one RunRecord with its raw samples in the
    --out folder, named <artifact>.<format>.<target>.json, with --kernels <target>.<kernels>, with --runtime
    <target>.<runtime>; 'edgefer report' makes tables and plots of them. A newer record takes an earlier one's place,
    but not where it would lack the times or the accuracy that the earlier one has.

    With --host the target is another machine: what it lacks is sent there, a broken run goes on when the same command
    is given again, and the records stand in a folder named like the host.

    With --emulate nothing is timed: the target's own runtime answers the rows on an emulated processor, beside this
    machine, and its instructions are counted. 'edgefer emulator setup' makes that possible.
    """
    from edgefer.artifact import open_artifact
    from edgefer.bench.beside import require_beside
    from edgefer.bench.record import save_record

    if emulate:
        timed = {"--batch": batches, "--threads": threads, "--min-time": min_time, "--host": host}
        refuse_options(timed, "--emulate measures no latency, and counts on one thread")
    else:
        refuse_options({f"--{name}": value for name, value in emulation.items()}, "nothing is emulated")
    if not host:
        far = {"--remote-python": remote_python, "--remote-cache": remote_cache is not None}
        refuse_options(far, "no --host is given")
    target = _target(target_id, kernels, here=not (emulate or host), accuracy_only=accuracy_only)
    opened = [open_artifact(path) for path in artifacts]
    if not any(artifact.container == "tflite" for artifact in opened):
        refuse_options({"--kernels": kernels}, "none of the files is a TFLite one")
    place = record_place(target.id, kernels, emulation["runtime"], "emulated" if emulate else None)
    files = record_files(opened, place, out)
    if not (emulate or accuracy_only):
        require_beside(opened, target)
    job = _job(target, data, labels, batches, threads, min_time, accuracy_only)
    for there in [files_of_host(files, each) for each in host] or [files]:
        check_replaced(there, opened, timed=not (emulate or accuracy_only), scored=job.data is not None)
    failure = None
    if host:
        found, failure = on_hosts(opened, job, files, host, remote_python, cache=remote_cache)
    else:
        records = emulated(opened, target, job.data, **emulation) if emulate else _measured(opened, job)
        found = list(zip(records, files, strict=True))
        for record, file in found:
            save_record(record, file)
    if found:
        show([record for record, _ in found], [file for _, file in found], as_json)
    if failure:
        raise failure


def _target(target_id: str, kernels: str | None, *, here: bool, accuracy_only: bool) -> Target:
    """The target with what the options change; if it is to run ``here``, it must be available."""
    from edgefer.bench.target import for_accuracy, load_target, require, with_kernels

    target = load_target(target_id)
    if kernels:
        target = with_kernels(target, kernels)
    if here:
        target = for_accuracy(target) if accuracy_only else target
        require(target)
    return target


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

    if accuracy_only:
        refuse_options({"--batch": batches, "--min-time": min_time}, "--accuracy-only measures no latency")
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


def _measured(artifacts: Sequence[Artifact], job: Job) -> list[RunRecord]:
    """Measure on this machine, with progress."""
    from edgefer.bench.runner import run
    from edgefer.remote.here import bench_here

    measure = bench_here if job.target.options.variants and job.batches else run
    with console.progress("bench") as advance:
        return measure(artifacts, job, advance)
