"""The stage ``bias-correct``: what int8 weights shift on average is taken back in the biases (Nagel et al. 2019)."""

from __future__ import annotations

from edgefer.backbones.base import Backbone
from edgefer.compression.base import Result, Stage, Workshop
from edgefer.compression.bias_correction import correct_biases
from edgefer.compression.fake_quant import simulate
from edgefer.compression.inference_graph import inference_graph
from edgefer.compression.quantized_error import calibration_floats, int8_error, kept_if_better
from edgefer.spec import Frozen


class Options(Frozen, frozen=True):
    """``images`` from the training split, drawn class-balanced, over which means are taken."""

    images: int = 256

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError("images must be at least 1")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Correct a copy of the network with its batch norms folded; it is kept if its int8 error (nats) is smaller."""
    floats = calibration_floats(backbone, workshop, options.images)
    network = inference_graph(backbone.model)
    before = int8_error(network, floats, backbone, workshop)
    largest = correct_biases(simulate(network, floats), floats, workshop.step)
    errors = (before, int8_error(network, floats, backbone, workshop))
    return kept_if_better(backbone, network, errors, {"largest_change": round(largest, 6)}, workshop)


STAGES = (Stage(id="bias-correct", options=Options, run=run),)
