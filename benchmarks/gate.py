"""Trained networks at the gate: what passes, what fails, and what a few rows cannot tell.

    python benchmarks/gate.py --data PATH

MobileNetV2 and EfficientNetV2B0 of ``benchmarks/models`` are converted to int8 by edgefer; the latter also by the stock
TFLiteConverter without per-channel scales, once calibrated as it should be and once with images in 0..1, where the
network takes -1..1: a mistake that notebooks make. A file from outside gets edgefer's contract attached, that of
edgefer's own file with another payload. Every gate is ``edgefer gate`` against the float backbone; its records go to
``benchmarks/records/gate``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from benchmarks.compression.stock import CALIBRATION, per_tensor
from benchmarks.costs import ROOT, edgefer, run
from benchmarks.gate_results import FOLDER
from benchmarks.models import restored

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.backbones.base import Backbone
    from edgefer.preprocessing import Floats

PASS_OR_NOT = (0, 3)
LABELS = "ferplus-9"


@click.command()
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
def main(data: str) -> None:
    """Run every gate of the table."""
    with tempfile.TemporaryDirectory(prefix="edgefer-") as scratch:
        work = Path(scratch)
        model, artifact = _converted("s0-mobilenetv2", data, work)
        _gate(artifact, model, data, "mobilenetv2-int8")
        _gate(artifact, model, data, "mobilenetv2-int8.150-rows", "--rows", "150")
        model, artifact = _converted("s0-efficientnetv2b0", data, work)
        _gate(artifact, model, data, "efficientnetv2b0-int8")
        best = _int8(model, data, work / "best", "--calibration-method", "best")
        _gate(best, model, data, "efficientnetv2b0-int8.best")
        for name, path in _per_tensor(model, artifact, data, work).items():
            _gate(path, model, data, name)


def _converted(name: str, data: str, work: Path) -> tuple[Path, Path]:
    """The float model and edgefer's tflite-int8 file of it."""
    from edgefer.backbones.storage import save_backbone

    model = work / f"{name}.keras"
    save_backbone(restored(ROOT / "benchmarks" / "models" / name), model)
    return model, _int8(model, data, work)


def _int8(model: Path, data: str, out: Path, *options: str) -> Path:
    run(edgefer("convert", model, "--to", "tflite-int8", "--data", data, "--out", out, *options))
    return out / f"{model.stem}-int8.tflite"


def _gate(artifact: Path, model: Path, data: str, name: str, *options: str) -> None:
    out = FOLDER / f"{name}.json"
    command = edgefer("gate", artifact, "--against", model, "--data", data, "--out", out, *options)
    click.echo(run(command, PASS_OR_NOT).output)


def _per_tensor(model: Path, ours: Path, data: str, work: Path) -> dict[str, Path]:
    """The two stock files as artifacts, by the name of their record."""
    from edgefer.artifact import open_artifact
    from edgefer.backbones.loading import load_backbone
    from edgefer.backbones.startup import start_keras
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats

    start_keras()
    backbone, like = load_backbone(model), open_artifact(ours)
    size = (backbone.input.height, backbone.input.width)
    faces = load(data, LABELS, size=size, channels=backbone.input.pixel_channels).split("train")
    right = to_floats(faces.pixels[:CALIBRATION], backbone.input)
    samples = {
        "efficientnetv2b0-per-tensor": right,
        "efficientnetv2b0-per-tensor.wrong-range": (right + 1) / 2,
    }
    return {name: _attached(name, backbone, images, like, work) for name, images in samples.items()}


def _attached(name: str, backbone: Backbone, images: Floats, like: Artifact, work: Path) -> Path:
    from edgefer.artifact import write_artifact
    from edgefer.embedding import payload_sha256
    from edgefer.spec import Step

    payload, io = per_tensor(backbone, images, work / name)
    step = Step(name="stock", config={"converter": "TFLiteConverter", "per_channel": False})
    manifest = msgspec.structs.replace(
        like.manifest,
        name=name,
        payload_sha256=payload_sha256("tflite", payload),
        io=io,
        lineage=(*backbone.lineage, step),
    )
    return write_artifact(work / f"{name}.tflite", payload, manifest, like.golden).path


if __name__ == "__main__":
    main()
