"""How much each layer suffers from int8: one is quantized at a time, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgefer.compression.fake_quant import Simulation
from edgefer.metrics import divergence, score
from edgefer.preprocessing import Floats
from edgefer.spec import Frozen, LabelSet

ALL = "(all layers)"


class Sensitivity(Frozen, frozen=True):
    """What quantizing one layer, its weights and its output, does to a network.

    ``error`` is the mean Kullback-Leibler divergence (nats) of the probabilities from the float network's;
    ``f1_drop`` the loss of weighted F1 (0..1, negative where it rose); ``changed`` the share of rows whose
    predicted class is another.
    """

    layer: str
    weights: int
    error: float
    f1_drop: float
    changed: float


def ranked(
    simulation: Simulation,
    floats: Floats,
    labels: npt.NDArray[np.int64],
    names: LabelSet,
    step: Callable[[float, float, str], None] = lambda *_: None,
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
