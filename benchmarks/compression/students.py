"""A trained student: converted, scored on all test rows, timed beside EfficientNetV2B1; and its way into the package.

    python benchmarks/compression/students.py measure student-micro runs/student-micro --data PATH
    python benchmarks/compression/students.py ship student-micro runs/student-micro

The int8 files are those of ``--calibration-method best``. The artifacts carry drawn golden faces. RunRecords go to
``benchmarks/records/students/NAME``, those of one thread (``FILE.one-thread.json``) beside those of as many as the
target says: small layers gain little from a second thread, the float network gains. That network learned from drawn
faces only: it is timed, never scored. ``ship`` puts the measured int8 files and the Keras file into
``edgefer/zoo/NAME``; the model card there is written by hand, its figures by ``make docs``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from benchmarks.costs import RECORDS, ROOT, edgefer, run
from edgefer.artifact import Artifact, open_artifact
from edgefer.bench.record import Accuracy, RunRecord, save_record
from edgefer.bench.runner import Job
from edgefer.bench.runner import run as measure
from edgefer.bench.scoring import reader
from edgefer.bench.target import load_target

RIVAL = "EfficientNetV2B1"
FORMATS = "tflite-int8,onnx-int8,tflite-fp32"
MAKING = (
    *("--golden", "synthetic", "--calibration-method", "best"),
    *("--keep-float", "auto", "--max-drop", "0.5"),
)
SHIPPED = (".tflite", ".onnx")
BATCHES = (1, 64)
# 0: as many as the target says.
THREADS = {0: "cpu", 1: "one-thread"}


@click.group()
def main() -> None:
    """Measure a trained student, or put one into the package."""


@main.command("measure")
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def measure_command(name: str, folder: Path, data: str, out: Path) -> None:
    """Convert the finished training run in FOLDER as NAME and measure what it is worth."""
    work = _work(out, name)
    students = _convert(folder / "model.keras", FORMATS, work, data, "--name", name, *MAKING)
    rival = _rival(work)
    records = RECORDS / "students" / name
    shutil.rmtree(records, ignore_errors=True)
    answered = _answered(students, data)
    for threads, kind in THREADS.items():
        for record in _timed([*students, rival], threads):
            short = record.artifact.name if record.artifact.name != name else record.artifact.format
            accuracy = answered.get(record.artifact.sha256)
            save_record(msgspec.structs.replace(record, accuracy=accuracy), records / f"{short}.{kind}.json")
    shutil.copy(folder / "train.json", records / "train.json")
    click.echo(f"{records}; now run make docs")


@main.command("ship")
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def ship_command(name: str, folder: Path, out: Path) -> None:
    """Put the student of FOLDER that was measured as NAME into the package."""
    zoo = ROOT / "edgefer" / "zoo" / name
    zoo.mkdir(parents=True, exist_ok=True)
    for suffix in (".keras", ".edgefer.json"):
        shutil.copy(folder / f"model{suffix}", zoo / f"{name}{suffix}")
    for path in sorted(_work(out, name).glob(f"{name}-int8.*")):
        if path.suffix in SHIPPED:
            shutil.copy(path, zoo)
    click.echo(f"{zoo}; now run make docs")


def _work(out: Path, name: str) -> Path:
    return out / f"{name}-bench"


def _convert(model: Path, formats: str, work: Path, data: str, *options: str) -> list[Artifact]:
    command = edgefer("convert", model, "--to", formats, "--data", data, "--out", work, "--json", *options)
    made = msgspec.json.decode(run(command).output)
    return [open_artifact(Path(one["path"])) for one in made]


def _rival(work: Path) -> Artifact:
    """The float TFLite file of the network that the document chose."""
    file = work / "rival" / f"{RIVAL}.keras"
    if not file.exists():
        run([sys.executable, str(ROOT / "benchmarks" / "networks.py"), RIVAL, str(file)])
    (artifact,) = _convert(file, "tflite-fp32", file.parent, "synthetic")
    return artifact


def _answered(students: Sequence[Artifact], data: str) -> dict[str, Accuracy | None]:
    """Scores of each, by the hash of its payload."""
    target = load_target("cpu")
    job = Job(target=target, plan=target.measure.plan(), data=reader(data, None))
    return {each.artifact.sha256: each.accuracy for each in measure(students, job)}


def _timed(together: Sequence[Artifact], threads: int) -> list[RunRecord]:
    """Latency of all in one interleaved run."""
    target = load_target("cpu")
    return measure(together, Job(target=target, plan=target.measure.plan(), batches=BATCHES, threads=threads))


if __name__ == "__main__":
    main()
