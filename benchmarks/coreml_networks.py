"""The reference executor against Keras: every backbone family as a saved Core ML package, float32 and float16.

    python benchmarks/coreml_networks.py

The networks have seeded weights whose outputs spread. Each is exported, converted and saved as ``edgefer convert`` does
it, and verified on 16 drawn faces. Writes ``benchmarks/records/coreml-networks.json``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.coreml_results import NETWORKS, NetworkAgreement, NetworksRecord
from benchmarks.costs import now, write_json

if TYPE_CHECKING:
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.base import Dataset

SIDE = 48
# Family, and what it is built with; the students take one channel.
FAMILIES: dict[str, dict[str, Any]] = {
    "mobilenetv2": {},
    "efficientnetv2b0": {},
    "efficientnetv2b1": {},
    "efficientnetv2b2": {},
    "resnet50v2": {},
    "vgg16": {},
    "student nano": {"size": "nano"},
    "student micro": {"size": "micro"},
    "student small": {"size": "small"},
    "easynet": {},
    "s1-cnn": {},
    "emonet": {},
    "efficientnet-lite0": {},
    "senet50": {},
    "tiny-vit": {},
}
FORMATS = "coreml-fp32,coreml-fp16"


@click.command()
def main() -> None:
    """Convert and verify each network."""
    from edgefer.backbones.startup import start_keras
    from edgefer.datasets.loading import load

    start_keras()
    started, found = now(), []
    for name, options in FAMILIES.items():
        channels = 1 if name.startswith(("student", "easynet", "s1-cnn")) else 3
        faces = load("synthetic", None, size=(SIDE, SIDE), channels=1)
        found += agreements(name, network(name, channels, options, faces), faces)
    record = NetworksRecord(schema=1, started=started.isoformat(timespec="seconds"), agreements=tuple(found))
    write_json(NETWORKS, record)


def network(name: str, channels: int, options: dict[str, Any], faces: Dataset) -> Backbone:
    import keras

    from edgefer.backbones.base import Backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.preprocessing import to_floats
    from edgefer.registry import discover
    from edgefer.spec import InputSpec
    from tests.networks import spread

    keras.utils.set_random_seed(1)
    spec = InputSpec(height=SIDE, width=SIDE, channels=channels, range=(-1.0, 1.0))
    family = discover("edgefer.backbones.families", "FAMILIES")[name.partition(" ")[0]]
    model = family.build((SIDE, SIDE, channels), 9, None, options)
    spread(model, to_floats(faces.split("train").pixels[:64], spec))
    return Backbone(model, spec, LABEL_SETS["ferplus-9"], (), name.replace(" ", "-"), "")


def agreements(name: str, backbone: Backbone, faces: Dataset) -> list[NetworkAgreement]:
    from edgefer.pipeline import Options, choose_formats, convert

    with tempfile.TemporaryDirectory(prefix="edgefer-") as out:
        outcomes = convert(
            backbone, choose_formats(FORMATS), None, faces, Path(out), Options(), lambda *_: None
        )
    found = []
    for outcome in outcomes:
        proof = outcome.verification
        if proof is None or proof.max_abs is None or proof.top1_agreement is None:
            raise click.ClickException(f"{name} {outcome.format}: {outcome.error or 'not verified'}")
        found.append(
            NetworkAgreement(
                network=name,
                parameters=backbone.model.count_params(),
                format=outcome.format,
                executed_on=proof.executed_on,
                status=proof.status,
                max_abs=proof.max_abs,
                top1_agreement=proof.top1_agreement,
            )
        )
        click.echo(f"{name} {outcome.format}: {proof.status}, {proof.max_abs:.1e}")
    return found


if __name__ == "__main__":
    main()
