"""``edgefer demo``: the main job on the embedded synthetic faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.cli import console
from edgefer.cli.options import OutPath

if TYPE_CHECKING:
    from edgefer.bench.record import RunRecord
    from edgefer.datasets.base import Dataset
    from edgefer.pipeline import Outcome

FORMATS = "tflite-fp32,tflite-int8,onnx-int8"
BATCHES = (1, 64)


@click.command(name="demo")
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Folder for everything it makes; must not exist.",
)
@console.json_option
def command(out: Path, as_json: bool) -> None:
    """Run the main job on synthetic faces: train, convert, verify, bench, report.

    Takes a few minutes on two cores. Everything is really trained and measured here and now; only the faces are
    drawn, so its F1 says nothing about real ones.
    """
    from edgefer.backbones.startup import start_keras
    from edgefer.datasets.loading import load
    from edgefer.errors import InputError

    if out.exists():
        raise InputError(f"{out} exists already", hint="remove it, or give another --out")
    dataset = load("synthetic", "ferplus-9")
    start_keras()
    model = _train(dataset, out)
    outcomes = _convert(model, dataset, out)
    records = _bench(outcomes, out)
    page = _report(out)
    _show(outcomes, records, page, as_json)


def _train(dataset: Dataset, out: Path) -> Path:
    from edgefer.recipe_loading import load_single
    from edgefer.training.run import Hooks
    from edgefer.training.trainer import train

    console.note("1/5 train    a small network on drawn faces")
    with console.progress("train") as advance:
        return train(load_single("demo"), dataset, out / "train", hooks=Hooks(step=advance)).path


def _convert(model: Path, dataset: Dataset, out: Path) -> list[Outcome]:
    from dataclasses import replace

    from edgefer.backbones.loading import load_backbone
    from edgefer.pipeline import Options, choose_formats, convert

    console.note(f"2/5 convert  to {FORMATS}")
    backbone = replace(load_backbone(model), name="demo")
    with console.progress("convert") as advance:
        outcomes = convert(
            backbone, choose_formats(FORMATS), dataset, dataset, out / "artifacts", Options(), advance
        )
    console.note("3/5 verify   golden images replayed")
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return outcomes


def _bench(outcomes: list[Outcome], out: Path) -> list[RunRecord]:
    from edgefer.artifact import open_artifact
    from edgefer.bench.record import save_record
    from edgefer.bench.runner import Job, run
    from edgefer.bench.scoring import reader
    from edgefer.bench.target import load_target

    console.note("4/5 bench    on this machine's CPU")
    target = load_target("cpu")
    job = Job(target=target, plan=target.measure.plan(0.5), batches=BATCHES, data=reader("synthetic", None))
    artifacts = [open_artifact(o.path) for o in outcomes if o.path]
    with console.progress("bench") as advance:
        records = run(artifacts, job, advance)
    for record in records:
        save_record(record, out / "runs" / f"demo.{record.artifact.format}.cpu.json")
    return records


def _report(out: Path) -> Path:
    """Write the report; returns its page."""
    from edgefer.report.collect import collect
    from edgefer.report.page import render
    from edgefer.report.write import write_all

    console.note("5/5 report")
    written = write_all(out / "report", render(collect([out / "runs"])))
    return next(path for path in written if path.suffix == ".html")


def _show(outcomes: list[Outcome], records: list[RunRecord], page: Path, as_json: bool) -> None:
    from edgefer.bench.summary import summarize

    proofs = [outcome.verification for outcome in outcomes if outcome.verification]
    if as_json:
        console.print_json(
            {"verification": proofs, "bench": [summarize(record) for record in records], "report": str(page)}
        )
        return
    console.print_verifications(proofs)
    columns = ("format", "kB", "weighted F1 (synthetic)", "F1 drop", *(f"FPS, batch {b}" for b in BATCHES))
    console.print_table(
        "Demo: synthetic faces, measured on this machine", columns, [_row(record) for record in records]
    )
    click.echo(f"report  {page}")


def _row(record: RunRecord) -> tuple[str, ...]:
    accuracy = record.accuracy
    f1 = f"{accuracy.full.weighted_f1:.4f}" if accuracy else ""
    drop = accuracy.f1_drop if accuracy else None
    speeds = (f"{timing.fps:,.0f}" for timing in record.timings)
    return (
        record.artifact.format,
        f"{record.artifact.bytes / 1000:,.0f}",
        f1,
        "" if drop is None else f"{drop:+.2f}",
        *speeds,
    )
