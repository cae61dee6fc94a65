"""Keeps trained backbones small enough to commit, and restores them.

    python benchmarks/models.py pack runs/s0-mobilenetv2 benchmarks/models/s0-mobilenetv2
    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/restored/model.keras

A packed backbone is a folder: ``network.json`` (Keras' own description), ``weights.npz`` (kernels rounded to
float16, vectors such as biases and batch-norm statistics in float32), ``edgefer.json`` (the sidecar) and the
run's ``train.json`` and ``history.csv``. The restored file's lineage says that its kernels were rounded.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import msgspec
import numpy as np

from edgefer.backbones.base import Backbone, Sidecar
from edgefer.backbones.storage import save_backbone, sidecar_path
from edgefer.files import atomic_directory
from edgefer.spec import Step

RECORDS = ("train.json", "history.csv")


@click.group()
def commands() -> None:
    """Pack and unpack trained backbones."""


@commands.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def pack(run: Path, out: Path) -> None:
    """Pack the finished training run in folder RUN into folder OUT."""
    import keras

    source = run / "model.keras"
    model = keras.saving.load_model(source, compile=False)
    with atomic_directory(out) as work:
        (work / "network.json").write_text(model.to_json())
        np.savez_compressed(work / "weights.npz", *(_rounded(w) for w in model.get_weights()))
        shutil.copy(sidecar_path(source), work / "edgefer.json")
        for name in RECORDS:
            shutil.copy(run / name, work / name)
    click.echo(f"{out}: {sum(file.stat().st_size for file in out.iterdir()) / 1e6:.2f} MB")


def _rounded(weight: np.ndarray) -> np.ndarray:
    return weight.astype(np.float16) if weight.ndim > 1 else weight


@commands.command()
@click.argument("packed", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def unpack(packed: Path, out: Path) -> None:
    """Restore PACKED to OUT, a .keras file, with its sidecar."""
    backbone = save_backbone(restored(packed), out)
    click.echo(f"{out}: sha256 {backbone.sha256}")


def restored(packed: Path) -> Backbone:
    """The backbone in a packed folder."""
    import keras

    model = keras.models.model_from_json((packed / "network.json").read_text())
    with np.load(packed / "weights.npz") as arrays:
        model.set_weights([arrays[f"arr_{number}"].astype(np.float32) for number in range(len(arrays.files))])
    said = msgspec.json.decode((packed / "edgefer.json").read_bytes(), type=Sidecar)
    step = Step(name="pack", config={"kernels": "float16"})
    return Backbone(model, said.input, said.labels, said.lineage, name=packed.name, sha256="").after(step)


if __name__ == "__main__":
    commands()
