"""Writes one of the larger networks, untrained but with spread outputs, for the cost of converting it.

    python benchmarks/networks.py EfficientNetV2B1 network.keras

It takes 48x48 gray faces as three equal channels in -1..1 and has the nine classes of FER+.
"""

from __future__ import annotations

from pathlib import Path

import click

NETWORKS = ("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "ResNet50V2")
FACES = 512


@click.command()
@click.argument("name", type=click.Choice(NETWORKS))
@click.argument("out", type=click.Path(path_type=Path))
def main(name: str, out: Path) -> None:
    """Write network NAME to OUT, a .keras file, with its sidecar."""
    from edgefer.backbones.base import Backbone
    from edgefer.backbones.startup import start_keras
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec, Step
    from tests.networks import application, spread

    start_keras()
    spec = InputSpec(height=48, width=48, channels=3, range=(-1.0, 1.0))
    faces = load("synthetic", "ferplus-9").split("train").pixels[:FACES]
    model = spread(application(name), to_floats(faces, spec))
    made = Step(name="made", config={"network": name, "weights": "seeded, untrained, outputs spread"})
    save_backbone(Backbone(model, spec, LABEL_SETS["ferplus-9"], (made,), name=out.stem, sha256=""), out)


if __name__ == "__main__":
    main()
