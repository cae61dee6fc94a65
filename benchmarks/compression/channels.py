"""What channel pruning costs and brings: one trained network at several shares of its multiply-accumulates.

    python benchmarks/compression/channels.py runs/teachers/s0-mobilenetv2.keras --data PATH
    python benchmarks/compression/channels.py runs/teachers/s0-mobilenetv2.keras --data PATH --share 0.5 \\
        --blocks 0.57 --blocks 0.6 --epochs 12

Each share is one ``edgefer compress`` of its own with the same tuning, taught by the network it came from, and is
resumed where an earlier call left it. With ``--blocks`` whole residual blocks go first, down to that share, and
channels do the rest. Then the int8 files of all, the whole network's among them, are scored on the test rows and
timed in one interleaved run. RunRecords go to ``benchmarks/records/compression/channels/NAME``, those of a call with
blocks to a folder ``blocks`` below it, with the whole network's of their own run.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from benchmarks.costs import RECORDS, edgefer, run
from edgefer.artifact import Artifact, open_artifact
from edgefer.bench.record import RunRecord, save_record
from edgefer.bench.runner import Job
from edgefer.bench.runner import run as measure
from edgefer.bench.scoring import reader
from edgefer.bench.target import load_target
from edgefer.compressing import CompressRecord

FOLDER = RECORDS / "compression" / "channels"
BLOCKS = "blocks"  # the folder, below a network's, of those that lost blocks first
FORMAT = "tflite-int8"
# What --calibration-method best chose for the whole networks: min-max ranges cost EfficientNetV2B0 a point.
CALIBRATION = "mse"
SHARES = (0.75, 0.5, 0.35)
BATCHES = (1, 64)
# The networks were trained for long; what is left of them needs a fraction of that to recover.
TUNING = (
    "batch_size=128",
    "optimizer=adamw",
    "weight_decay=0.01",
    "targets=votes",
    'schedule={kind="cosine",warmup=0.5}',
)
AUGMENTATION = ("flip=true", "rotation=10.0", "shift=0.08", "zoom=0.1", "probability=0.7")


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--share", "shares", type=float, multiple=True, default=SHARES, show_default=True)
@click.option(
    "--blocks", "to", type=float, multiple=True, help="Share to which residual blocks are removed first."
)
@click.option("--epochs", type=int, default=8, show_default=True, help="Of tuning, at each share.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Peak learning rate of the tuning.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def main(
    model: Path,
    data: str,
    shares: tuple[float, ...],
    to: tuple[float, ...],
    epochs: int,
    rate: float,
    out: Path,
) -> None:
    """Prune MODEL to each share of its multiply-accumulates."""
    work = out / f"{model.stem}-channels"
    tuning = [f"epochs={epochs}", f"learning_rate={rate}", *TUNING]
    pruned = [
        _pruned(model, data, share, blocks, tuning, work) for blocks in to or (None,) for share in shares
    ]
    artifacts = [_converted(each, data, work / "artifacts") for each in (model, *pruned)]
    folder = FOLDER / model.stem / BLOCKS if to else FOLDER / model.stem
    for file in folder.glob("*.json"):
        file.unlink()
    for record in _measured(artifacts, data):
        save_record(record, folder / f"{record.artifact.name}.cpu.json")
    for each in pruned:
        shutil.copy(each.parent.parent / "compress.json", folder / f"{each.stem}.compress.json")
    click.echo(f"{folder}; now run make docs")


def _pruned(
    model: Path, data: str, share: float, blocks: float | None, tuning: Sequence[str], work: Path
) -> Path:
    """The Keras file of MODEL with ``share`` of its multiply-accumulates left, named after what was done."""
    cut = f"blocks-{100 * blocks:.0f}-{100 * share:.0f}" if blocks else f"{100 * share:.0f}"
    folder = work / cut
    named = folder / "named" / f"{model.stem}-{cut}.keras"
    if named.exists():
        return named
    stages, settings, left = ["channels"], [], 1.0
    if blocks:
        stages, settings = ["blocks", "channels"], [f"blocks.macs={blocks:g}"]
        left = _left(model, data, settings, work / f"blocks-{100 * blocks:.0f}")
    settings += [f"channels.macs={share / left:.6f}",
                 *(f"channels.tuning.training.{one}" for one in tuning),
                 *(f"channels.tuning.augmentation.{one}" for one in AUGMENTATION)]  # fmt: skip
    made = _compressed(model, data, stages, settings, folder)
    named.parent.mkdir()
    for file in (made, made.with_suffix(".edgefer.json")):
        shutil.copy(file, named.with_name(file.name.replace(model.stem, named.stem, 1)))
    return named


def _left(model: Path, data: str, settings: Sequence[str], folder: Path) -> float:
    """The share of the multiply-accumulates that is left by blocks alone, of which a later stage's is a share."""
    made = _compressed(model, data, ["blocks"], settings, folder)
    record = msgspec.json.decode(made.with_name("compress.json").read_bytes(), type=CompressRecord)
    return record.stages[0].standing.cost.macs / record.original.cost.macs


def _compressed(model: Path, data: str, stages: Sequence[str], settings: Sequence[str], folder: Path) -> Path:
    words = [word for stage in stages for word in ("--stage", stage)]
    words += [word for setting in settings for word in ("--set", setting)]
    run(edgefer("--verbose", "compress", model, "--data", data, "--out", folder, *words))
    return folder / model.name


def _converted(model: Path, data: str, out: Path) -> Artifact:
    command = edgefer("convert", model, "--to", FORMAT, "--calibration-method", CALIBRATION, "--data", data,
                      "--out", out, "--json")  # fmt: skip
    (made,) = msgspec.json.decode(run(command).output)
    return open_artifact(Path(made["path"]))


def _measured(artifacts: Sequence[Artifact], data: str) -> list[RunRecord]:
    target = load_target("cpu")
    job = Job(target=target, plan=target.measure.plan(), batches=BATCHES, data=reader(data, None))
    return measure(artifacts, job)


if __name__ == "__main__":
    main()
