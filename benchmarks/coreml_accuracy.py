"""What Core ML's precisions cost trained networks, on all test rows of FER+ and on any machine.

    python benchmarks/coreml_accuracy.py s0-mobilenetv2 lite0-48 --data PATH

Each MODEL is a folder of ``benchmarks/models``. It is converted to every Core ML format (``coreml-w8a8`` by
``--calibration-method best``), and each is scored twice: by
``edgefer bench --target coreml --accuracy-only``, whose RunRecord is kept, and here, where its answers are held
against the float network's, row by row, and timed on one thread. Records go to ``benchmarks/records/coreml/MODEL``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import numpy as np

from benchmarks.coreml_results import FOLDER, Agreement, AgreementRecord
from benchmarks.costs import ROOT, edgefer, now, run, write_json
from benchmarks.models import restored

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.preprocessing import Floats, Pixels

LABELS = "ferplus-9"
PASSED_OR_FAILED = (0, 3)


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--formats", metavar="FORMAT[,FORMAT…]", default="", help="Only these; records of others stay.")
@click.option("--remark", default="", help="What was not as it should be while this ran.")
def main(models: tuple[str, ...], data: str, formats: str, remark: str) -> None:
    """Score all Core ML formats of each of MODELS."""
    for name in models:
        with tempfile.TemporaryDirectory(prefix="edgefer-") as scratch:
            _measure(name, data, formats or _every_format(), remark, Path(scratch))


def _measure(name: str, data: str, formats: str, remark: str, scratch: Path) -> None:
    from edgefer.backbones.evaluation import probabilities
    from edgefer.backbones.storage import save_backbone
    from edgefer.bench.environment import environment
    from edgefer.datasets.loading import load

    started = now()
    backbone = save_backbone(restored(ROOT / "benchmarks" / "models" / name), scratch / "model.keras")
    spec = backbone.input
    test = load(data, LABELS, size=(spec.height, spec.width), channels=spec.pixel_channels).split("test")
    expected = probabilities(backbone, test.pixels)
    paths = _convert(scratch, name, data, formats)
    agreements = _kept(name, formats) + [_agreement(path, test.pixels, expected) for path in paths]
    write_json(
        FOLDER / name / "agreement.json",
        AgreementRecord(
            schema=1,
            started=started.isoformat(timespec="seconds"),
            environment=environment(1),
            rows=len(test),
            agreements=tuple(agreements),
            remark=remark,
        ),
    )
    _bench(paths, data, FOLDER / name)
    click.echo(f"{name}: {len(paths)} formats")


def _every_format() -> str:
    from edgefer.registry import discover

    formats = discover("edgefer.formats", "FORMATS").values()
    return ",".join(each.id for each in formats if each.container == "coreml")


def _kept(name: str, formats: str) -> list[Agreement]:
    """What an earlier run found of the other formats."""
    path = FOLDER / name / "agreement.json"
    if not path.exists():
        return []
    found = msgspec.json.decode(path.read_bytes(), type=AgreementRecord).agreements
    return [each for each in found if each.format not in formats.split(",")]


def _convert(scratch: Path, name: str, data: str, formats: str) -> list[Path]:
    command = edgefer("convert", scratch / "model.keras", "--to", formats, "--name", name)
    options = ["--data", data, "--labels", LABELS, "--out", str(scratch / "artifacts"), "--json"]
    options += ["--calibration-method", "best"]
    made = json.loads(run([*command, *options], PASSED_OR_FAILED).output)
    for each in made:
        if each["error"]:
            click.echo(f"{name} {each['format']}: {each['error']}", err=True)
    return [Path(each["path"]) for each in made if each["path"]]


def _agreement(path: Path, pixels: Pixels, expected: Floats) -> Agreement:
    """Hold one file's answers against the float network's; loading counts as time to score."""
    from edgefer.artifact import open_artifact
    from edgefer.runtimes.base import predict
    from edgefer.verification import runtime_for

    artifact: Artifact = open_artifact(path)
    wall, processor = time.perf_counter(), time.process_time()
    session = runtime_for(artifact).open(artifact, 1)
    found = predict(session, pixels)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    errors = np.abs(found - expected).max(axis=1)
    return Agreement(
        format=artifact.format,
        executed_on=session.executed_on,
        max_abs=float(errors.max()),
        row_mean=float(errors.mean()),
        top1_agreement=float(np.mean(found.argmax(axis=1) == expected.argmax(axis=1))),
        seconds=wall,
        processor_seconds=processor,
    )


def _bench(paths: list[Path], data: str, out: Path) -> None:
    """Let new RunRecords take the place of the old ones of the same formats."""
    with tempfile.TemporaryDirectory(prefix="edgefer-") as runs:
        options = ("--target", "coreml", "--accuracy-only", "--data", data, "--labels", LABELS, "--out", runs)
        run(edgefer("bench", *paths, *options))
        for file in sorted(Path(runs).glob("*.coreml.json")):
            shutil.copy(file, out / file.name)


if __name__ == "__main__":
    main()
