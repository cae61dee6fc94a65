"""What int8 would do to a network, measured without a converter: for stages that change weights for its sake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.compression.base import Result, Workshop
from edgefer.compression.fake_quant import simulate
from edgefer.metrics import divergence
from edgefer.preprocessing import Floats, to_floats
from edgefer.sampling import balanced_rows

JUDGED = 512  # rows are enough for an error that is a mean, and cheap enough to look twice


def calibration_floats(backbone: Backbone, workshop: Workshop, count: int) -> Floats:
    """Network inputs (count, H, W, channels) from the training split, drawn class-balanced with the workshop's seed."""
    train = workshop.dataset.split("train")
    return to_floats(train.pixels[balanced_rows(train.labels, count, workshop.seed)], backbone.input)


def int8_error(network: Any, floats: Floats, backbone: Backbone, workshop: Workshop) -> float:
    """Mean divergence (nats) of ``network``, an ``inference_graph`` in simulated int8, from ``backbone``'s answers.

    Ranges come from ``floats``; judged are up to ``JUDGED`` validation rows, drawn with the workshop's seed.
    """
    validation = workshop.dataset.split("validation")
    rows = np.random.default_rng(workshop.seed).permutation(len(validation))[:JUDGED]
    pixels = validation.pixels[np.sort(rows)]
    simulation = simulate(network, floats)
    simulation.switch(simulation.names)
    answers = simulation.outputs(to_floats(pixels, backbone.input))
    simulation.switch(())
    return round(divergence(probabilities(backbone, pixels), answers), 6)


def kept_if_better(
    backbone: Backbone,
    network: Any,
    errors: tuple[float, float],
    findings: dict[str, Any],
    workshop: Workshop,
) -> Result:
    """``network`` in the backbone's place if its int8 error, the second of ``errors``, is below that before.

    Otherwise the backbone as it came, and a sentence that says so.
    """
    before, after = errors
    findings = {**findings, "int8_error_before": before, "int8_error": after, "kept": after < before}
    if after < before:
        return Result(replace(backbone, model=network), findings)
    workshop.note(f"int8 error {before:g} before, {after:g} after: this does not help here and is left out")
    return Result(backbone, findings)
