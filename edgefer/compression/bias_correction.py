"""Bias correction: what rounding shifts on average in each channel is taken back in the bias.

Rounded weights give sums whose mean over images differs from the exact one. Layers are corrected in the order they
run in, each with all those before it corrected and the whole network quantized.

Source: Nagel, van Baalen, Blankevoort, Welling 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.2, in its empirical form (appendix D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.compression.fake_quant import Simulation, all_outputs, batches
from edgefer.preprocessing import Floats

Means = list[npt.NDArray[np.float64]]


def correct_biases(
    simulation: Simulation, floats: Floats, step: Callable[[float, float, str], None] = lambda *_: None
) -> float:
    """Correct the network behind ``simulation`` in place; the largest change of a bias.

    ``floats`` (N, H, W, channels) are calibration images. Kernels are the exact ones afterwards: the correction is for
    a converter that rounds them per output channel.
    """
    simulation.switch(())
    exact = channel_means(simulation, floats)
    simulation.switch(simulation.names)
    largest, layers = 0.0, simulation.weighted
    for number, unit in enumerate(layers):
        step(number, len(layers), unit.name)
        shift = channel_means(simulation, floats)[number] - exact[number]
        unit.layer.bias.assign(np.asarray(unit.layer.bias) - shift.reshape(unit.layer.bias.shape))
        largest = max(largest, float(np.max(np.abs(shift))))
    simulation.switch(())
    return largest


def channel_means(simulation: Simulation, floats: Floats) -> Means:
    """Mean over images and positions of what each layer with a kernel makes, (output channels,) each."""
    totals: list[Any] = [0.0] * len(simulation.weighted)
    for batch in batches(floats):
        for number, means in enumerate(all_outputs(simulation.means, batch)):
            totals[number] = totals[number] + np.asarray(means, np.float64) * len(batch)
    return [total / len(floats) for total in totals]
