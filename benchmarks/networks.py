"""Writes one of the larger networks, briefly trained on the synthetic faces, for the cost of converting it.

    python benchmarks/networks.py EfficientNetV2B1 network.keras

It takes 48x48 gray faces as three equal channels in -1..1 and has the nine classes of FER+. It is really trained,
because a random deep network multiplies every rounding: its int8 answers differ from its own by chance, and verify
refuses them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

NETWORKS = ("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "ResNet50V2")
EPOCHS, BATCH, RATE = 4, 32, 1e-3
MOMENTUM = 0.9


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
    from tests.networks import application

    start_keras()
    spec = InputSpec(height=48, width=48, channels=3, range=(-1.0, 1.0))
    faces = load("synthetic", "ferplus-9").split("train")
    model = application(name)
    accuracy = _fit(model, to_floats(faces.pixels, spec), faces.soft)
    config = {
        "network": name,
        "weights": f"random, {EPOCHS} epochs of synthetic faces, accuracy {accuracy:.2f}",
    }
    made = Step(name="made", config=config)
    save_backbone(Backbone(model, spec, LABEL_SETS["ferplus-9"], (made,), name=out.stem, sha256=""), out)
    click.echo(config["weights"])


def _fit(model: Any, floats: Any, targets: Any) -> float:
    """Train in place; returns the last epoch's accuracy."""
    import keras

    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM  # so that the running statistics keep up with a few hundred steps
    steps = EPOCHS * -(-len(floats) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=RATE, warmup_steps=steps // 10)
    model.compile(
        keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    history = model.fit(floats, targets, BATCH, EPOCHS, verbose=0)
    return float(history.history["accuracy"][-1])


if __name__ == "__main__":
    main()
