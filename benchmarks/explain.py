"""Why two trained networks are as fast as they are, int8 against float under LiteRT and ONNX Runtime.

    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/x/s0-mobilenetv2.keras
    python benchmarks/explain.py s0-mobilenetv2 runs/x/s0-mobilenetv2.keras --data PATH

Float and int8 files of one network for each runtime, and beside them what int8 files were until this very script showed
what it cost: ``onnx-int8`` with signed activations and, of a network that reshapes, ``tflite-int8`` with the number of
rows read from each reshaped tensor. They are scored on all test rows and timed in one
interleaved run at batch 1 and 64; then each is explained. The record goes to ``benchmarks/records/explain``.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import msgspec

from benchmarks.costs import RECORDS, now
from benchmarks.results import NOT_YET, machine, markdown_table
from edgefer.artifact import Artifact, open_artifact
from edgefer.bench.environment import default_threads, environment
from edgefer.bench.record import BatchTiming, RunRecord
from edgefer.bench.runner import Job, run
from edgefer.bench.scoring import reader
from edgefer.bench.target import load_target
from edgefer.datasets.loading import load, locate
from edgefer.explaining.explain import explain
from edgefer.explaining.record import Explanation
from edgefer.files import write_atomic
from edgefer.report import words
from edgefer.spec import Frozen

FOLDER = RECORDS / "explain"
BATCHES = (1, 64)
FILES = ("tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8")
SIGNED = "onnx-int8, signed activations"
COUNTED = "tflite-int8, reshapes that ask for the rows"
# Each explained file and the one it is held against.
PAIRS = {"tflite-fp32": None, "tflite-int8": "tflite-fp32", "onnx-fp32": None, "onnx-int8": "onnx-fp32",
         SIGNED: "onnx-fp32", COUNTED: "tflite-int8"}  # fmt: skip


class Entry(Frozen, frozen=True):
    """One file: its size, its scores on all test rows, its times, and why."""

    what: str
    bytes: int
    weighted_f1: float
    macro_f1: float
    f1_drop: float | None
    timings: tuple[BatchTiming, ...]
    explanations: tuple[Explanation, ...]
    invalid: str = ""


class ExplainRecord(Frozen, frozen=True):
    """All files of one network. Schema history: 1 - first version."""

    schema: int
    model: str
    started: str
    environment: dict[str, Any]
    entries: tuple[Entry, ...]


@click.command()
@click.argument("name")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--min-time", default=2.0, show_default=True, help="Seconds of samples a file and batch size.")
def main(name: str, model: Path, data: str, min_time: float) -> None:
    """Convert MODEL, a .keras file with its sidecar; score, time and explain its files."""
    started, target = now(), load_target("cpu")
    job = Job(
        target=target, plan=target.measure.plan(min_time), batches=BATCHES, data=reader(locate(data), None)
    )
    with tempfile.TemporaryDirectory(prefix="edgefer-explain-") as work:
        files = _files(model, data, Path(work))
        records = run(list(files.values()), job)
        entries = tuple(
            _entry(what, record, tuple(_explained(what, files, job)))
            for what, record in zip(files, records, strict=True)
        )
    record = ExplainRecord(
        schema=1,
        model=name,
        started=started.isoformat(timespec="seconds"),
        environment=environment(default_threads()),
        entries=entries,
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    # In one line: it holds every layer of ten profiles.
    write_atomic(FOLDER / f"{name}.json", msgspec.json.encode(record, order="deterministic") + b"\n")
    click.echo(explained())


def _files(model: Path, data: str, work: Path) -> dict[str, Artifact]:
    """The files by what they are."""
    from edgefer.backbones.loading import load_backbone
    from edgefer.backbones.startup import start_keras
    from edgefer.formats.reshaping import with_constant_shapes
    from edgefer.pipeline import Options, choose_formats, convert

    start_keras()
    backbone = load_backbone(model)
    spec = backbone.input
    dataset = load(data, backbone.labels.source, size=(spec.height, spec.width), channels=spec.pixel_channels)

    def made(formats: Sequence[str], folder: str) -> list[Artifact]:
        chosen = choose_formats(",".join(formats))
        outcomes = convert(backbone, chosen, dataset, dataset, work / folder, Options(), lambda *_: None)
        failed = [f"{each.format}: {each.error}" for each in outcomes if each.path is None]
        if failed:
            raise click.ClickException("; ".join(failed))
        return [open_artifact(each.path) for each in outcomes if each.path]

    files = dict(zip(FILES, made(FILES, "ours"), strict=True))
    with _signed_activations():
        (files[SIGNED],) = made(["onnx-int8"], "signed")
    if with_constant_shapes(backbone.model) is not backbone.model:
        with patch("edgefer.formats.export.with_constant_shapes", lambda model: model):
            (files[COUNTED],) = made(["tflite-int8"], "counted")
    return files


@contextmanager
def _signed_activations() -> Iterator[None]:
    """Let the converter ask ONNX Runtime's quantizer for int8 activations, everything else as it is."""
    from onnxruntime import quantization

    original = quantization.quantize_static

    @functools.wraps(original)
    def signed(*arguments: Any, **settings: Any) -> Any:
        return original(*arguments, **(settings | {"activation_type": quantization.QuantType.QInt8}))

    quantization.quantize_static = signed
    try:
        yield
    finally:
        quantization.quantize_static = original


def _explained(what: str, files: dict[str, Artifact], job: Job) -> Iterator[Explanation]:
    other = PAIRS[what]
    for batch in BATCHES:
        click.echo(f"explaining {what} at batch {batch}")
        yield explain(files[what], files[other] if other else None, job, batch, lambda _: None)


def _entry(what: str, record: RunRecord, explanations: tuple[Explanation, ...]) -> Entry:
    assert record.accuracy
    return Entry(
        what=what,
        bytes=record.artifact.bytes,
        weighted_f1=record.accuracy.full.weighted_f1,
        macro_f1=record.accuracy.full.macro_f1,
        f1_drop=record.accuracy.f1_drop,
        timings=record.timings,
        explanations=explanations,
        invalid=record.invalid,
    )


def explained(folder: Path = FOLDER) -> str:
    """Both tables and the sentences of each network, from committed records only."""
    files = sorted(folder.glob("*.json"))
    if not files:
        return NOT_YET
    return "\n\n".join(_network(msgspec.json.decode(file.read_bytes(), type=ExplainRecord)) for file in files)


def _network(record: ExplainRecord) -> str:
    columns = ("file", "size, kB", "weighted F1", "macro F1", *(f"FPS (batch {batch})" for batch in BATCHES))
    rows = [
        (
            entry.what,
            f"{entry.bytes / 1e3:,.0f}",
            words.f1(entry.weighted_f1),
            words.f1(entry.macro_f1),
            *(f"{t.fps:,.0f}{' (unstable)' if t.unstable else ''}" for t in entry.timings),
        )
        for entry in record.entries
    ]
    parts = [
        f"**{record.model}.** {machine(record.environment)}; {record.started[:10]}.",
        markdown_table(columns, rows),
        _groups(record),
        *(_sentences(entry) for entry in record.entries),
    ]
    return "\n\n".join(parts)


def _groups(record: ExplainRecord) -> str:
    """Where the time goes, as shares of a profiled run, and what is reached of the peak."""
    groups = ("dense", "depthwise", "elementwise", "quantize", "layout", "pool")
    columns = ("share of a profiled run", "batch", *groups, "between", "GMAC/s", "peak", "of the peak")
    rows = [_shares(entry.what, each, groups) for entry in record.entries for each in entry.explanations]
    return markdown_table(columns, rows)


def _shares(what: str, found: Explanation, groups: Sequence[str]) -> tuple[str, ...]:
    sums, rate = found.by_group(), found.macs_per_s or 0.0
    between = 1 - found.layers_ns / found.profiled_ns
    return (
        what,
        str(found.batch),
        *(f"{sums.get(group, 0.0) / found.profiled_ns:.0%}" for group in groups),
        f"{between:.0%}",
        f"{rate / 1e9:,.1f}",
        f"{found.peak.macs_per_s / 1e9:,.0f} {found.peak.numbers}",
        f"{rate / found.peak.macs_per_s:.1%}",
    )


def _sentences(entry: Entry) -> str:
    found = entry.explanations[0]
    lines = [f"- {finding.text}." for finding in found.findings]
    return "\n".join([f"{entry.what} at batch {found.batch}:", "", *lines])


if __name__ == "__main__":
    main()
