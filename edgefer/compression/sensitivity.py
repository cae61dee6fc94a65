"""How much each layer suffers from int8: one is quantized at a time, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.backbones.base import Backbone
from edgefer.backbones.graph import calls
from edgefer.compression.fake_quant import Simulation, simulate
from edgefer.compression.inference_graph import inference_graph
from edgefer.datasets.base import Dataset
from edgefer.errors import InputError
from edgefer.metrics import divergence, score
from edgefer.preprocessing import Floats, to_floats
from edgefer.sampling import balanced_rows
from edgefer.spec import Frozen, LabelSet

ALL = "(all layers)"
ROWS = 512  # a divergence is a mean over rows: more of them move no layer far in the ranking
Step = Callable[[float, float, str], None]


class Sensitivity(Frozen, frozen=True):
    """What quantizing one layer, its weights and its output, does to a network.

    ``error`` is the mean Kullback-Leibler divergence (nats) of the probabilities from the float network's;
    ``f1_drop`` the loss of weighted F1 (0..1, negative where it rose); ``changed`` the share of rows whose
    predicted class is another. ``part`` says that the network has no layer of this name: it is part of one, such as
    half of a separable convolution or an activation, and stays in float with the whole layer.
    """

    layer: str
    weights: int
    error: float
    f1_drop: float
    changed: float
    part: bool = False


def measured(
    backbone: Backbone,
    dataset: Dataset,
    *,
    rows: int = ROWS,
    calibration: int,
    seed: int,
    step: Step = lambda *_: None,
) -> list[Sensitivity]:
    """Rank the layers of ``backbone`` as ``ranked`` does, on ``rows`` validation rows (0: all), drawn with ``seed``.

    Ranges of activations are those of ``calibration`` training images, drawn class-balanced.

    Raises:
        InputError: a SavedModel, a missing split, or a layer that is called more than once.
        ConversionError: the network cannot be simulated.
    """
    if not backbone.trainable:
        raise InputError(
            f"{backbone.name}: a SavedModel has no layers to quantize one by one",
            hint="give the .keras or .h5 file",
        )
    train, validation = dataset.split("train"), dataset.split("validation")
    drawn = np.random.default_rng(seed).permutation(len(validation))[: rows or None]
    judged = validation.take(np.sort(drawn))
    seen = train.pixels[balanced_rows(train.labels, calibration, seed)]
    simulation = simulate(inference_graph(backbone.model), to_floats(seen, backbone.input))
    found = ranked(simulation, to_floats(judged.pixels, backbone.input), judged.labels, backbone.labels, step)
    layers = {ALL, *(call.layer.name for call in calls(backbone.model))}
    return [msgspec.structs.replace(one, part=one.layer not in layers) for one in found]


def ranked(
    simulation: Simulation,
    floats: Floats,
    labels: npt.NDArray[np.int64],
    names: LabelSet,
    step: Step = lambda *_: None,
) -> list[Sensitivity]:
    """Quantize all layers, then one at a time, worst error first; the first entry, ``ALL``, is the whole network.

    ``floats`` (N, H, W, channels) and ``labels`` (N,) are judged; error ranks, for the F1 of few rows has many ties.
    """
    simulation.switch(())
    exact = simulation.outputs(floats)
    trials = [(ALL, simulation.names), *((name, (name,)) for name in simulation.names)]
    found = []
    for done, (name, switched) in enumerate(trials):
        step(done, len(trials), name)
        simulation.switch(switched)
        found.append(
            _judged(name, _weights(simulation, switched), exact, simulation.outputs(floats), labels, names)
        )
    simulation.switch(())
    step(len(trials), len(trials), "done")
    return [found[0], *sorted(found[1:], key=lambda one: -one.error)]


def _weights(simulation: Simulation, names: tuple[str, ...]) -> int:
    return sum(unit.exact.size for unit in simulation.units if unit.name in names and unit.exact is not None)


def _judged(
    name: str, weights: int, exact: Floats, other: Floats, labels: npt.NDArray[np.int64], names: LabelSet
) -> Sensitivity:
    before, after = exact.argmax(axis=1), other.argmax(axis=1)
    drop = (
        score(labels, before, names, rows="").weighted_f1 - score(labels, after, names, rows="").weighted_f1
    )
    return Sensitivity(
        layer=name,
        weights=weights,
        error=divergence(exact, other),
        f1_drop=drop,
        changed=float(np.mean(before != after)),
    )
