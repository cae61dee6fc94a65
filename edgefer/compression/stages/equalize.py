"""The stage ``equalize``: cross-layer equalization (Nagel et al. 2019)."""

from __future__ import annotations

from edgefer.backbones.base import Backbone
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.compression.equalization import equalize
from edgefer.compression.inference_graph import inference_graph
from edgefer.compression.quantized_error import calibration_floats, int8_error, kept_if_better
from edgefer.spec import Frozen


class Options(Frozen, frozen=True):
    """``images`` from the training split, drawn class-balanced, show how far each ReLU6 is used."""

    images: int = 256

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError("images must be at least 1")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Equalize a copy of the network with its batch norms folded; it is kept if its int8 error (nats) is smaller."""
    floats = calibration_floats(backbone, workshop, options.images)
    network = inference_graph(backbone.model)
    before = int8_error(network, floats, backbone, workshop)
    done = equalize(network, floats)
    findings = {"pairs": done.pairs, "rounds": done.rounds, "rescaled_channels": round(done.rescaled, 4)}
    errors = (before, int8_error(network, floats, backbone, workshop))
    return kept_if_better(backbone, network, errors, findings, workshop)


STAGES = (Stage(id="equalize", options=Options, run=run, not_after=CORRECTED),)
