"""Channel pruning: whole channels are removed, and what is left is an ordinary, smaller network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.graph import cost_of
from edgefer.compression.base import Result, Stage, Workshop
from edgefer.compression.channel_budget import (
    Budget,
    Limits,
    budget_of,
    plan,
    refuse_unreachable,
)
from edgefer.compression.channel_costs import Costs
from edgefer.compression.channel_groups import Channels, Keep, channels_of
from edgefer.compression.channel_importance import (
    Importance,
    batch_norm_scales,
    taylor,
    weight_norms,
    with_batch_norm,
)
from edgefer.compression.channel_rebuild import rebuilt
from edgefer.errors import InputError
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Tuning
from edgefer.sampling import balanced_rows
from edgefer.spec import Cost, Frozen

# Gradients of small batches differ, and it is their squares that tell; larger ones average them away.
TAYLOR_BATCH = 16


class Options(Frozen, frozen=True):
    """Settings of the stage.

    Either ``macs`` or ``parameters`` is the share to keep of the network's multiply-accumulates or parameters.
    ``importance`` decides which channels go: ``weight`` norm, ``batch-norm`` scale (groups of channels without a batch
    norm stay whole), or first-order ``taylor`` on ``rows`` training images, classes as equal as they come. A group of
    channels keeps the share ``minimum`` of its width at least, and multiples of ``multiple``. Layers whose name matches
    a pattern of ``exclude`` keep all their channels. ``tuning`` trains the pruned network with the whole one as its
    teacher; without it the network stays as pruning left it.
    """

    macs: float | None = None
    parameters: float | None = None
    importance: Importance = "taylor"
    rows: int = 512
    minimum: float = 0.1
    multiple: int = 8
    exclude: tuple[str, ...] = ()
    tuning: Tuning | None = None

    def __post_init__(self) -> None:
        if (self.macs is None) == (self.parameters is None):
            raise ValueError("macs or parameters has to be given, and not both")
        for name in ("macs", "parameters"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise ValueError(f"{name} must be between 0 and 1 (at 1 there is nothing to prune)")
        if self.rows < TAYLOR_BATCH:
            raise ValueError(f"rows must be at least {TAYLOR_BATCH}")
        if not 0 <= self.minimum <= 1:
            raise ValueError("minimum must be in [0, 1]")
        if self.multiple < 1:
            raise ValueError("multiple must be at least 1")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Remove channels until the budget is met, then train what is left.

    Raises:
        InputError: a layer whose channels cannot be followed, named; a SavedModel.
        SettingError: a budget that no plan can reach, a pattern of ``exclude`` that matches nothing.
        ConversionError: a layer that cannot be made again.
    """
    if not backbone.trainable:
        raise InputError(f"{backbone.name} is a SavedModel", hint="only Keras models can be pruned")
    channels = _candidates(channels_of(backbone.model, options.exclude), options.importance)
    costs = Costs(channels)
    limits, budget = Limits(options.minimum, options.multiple), _budget(channels, costs, options)
    refuse_unreachable(channels, limits, budget)
    if options.importance == "taylor":
        scores = taylor(channels, _batches(backbone, options.rows, workshop))
    else:
        scores = (weight_norms if options.importance == "weight" else batch_norm_scales)(channels)
        budget = budget._replace(price=None)
    keep = plan(channels, costs, scores, limits, budget)
    pruned = replace(backbone, model=rebuilt(channels, keep), sha256="")
    after = cost_of(pruned.model)
    workshop.note(f"{_share(costs.full.macs, after.macs)} of the MACs and "
                  f"{_share(costs.full.parameters, after.parameters)} of the parameters are left")  # fmt: skip
    findings = _findings(channels, keep, costs.full, after)
    if options.tuning:
        pruned = workshop.tune(pruned, options.tuning, "tuning", teacher=backbone)
    return Result(pruned, findings)


def _candidates(channels: Channels, importance: Importance) -> Channels:
    return replace(channels, groups=with_batch_norm(channels)) if importance == "batch-norm" else channels


def _budget(channels: Channels, costs: Costs, options: Options) -> Budget:
    if options.macs is not None:
        return budget_of(channels, costs, "macs", options.macs)
    assert options.parameters is not None  # one of the two is given
    return budget_of(channels, costs, "parameters", options.parameters)


def _batches(backbone: Backbone, rows: int, workshop: Workshop) -> Iterator[tuple[Floats, Floats]]:
    """Training images with their soft labels, shuffled, in whole batches."""
    train = workshop.dataset.split("train")
    chosen = balanced_rows(train.labels, rows, workshop.seed)
    np.random.default_rng(workshop.seed).shuffle(chosen)
    for begin in range(0, len(chosen), TAYLOR_BATCH):
        workshop.step(begin, len(chosen), "importance")
        part = chosen[begin : begin + TAYLOR_BATCH]
        yield to_floats(train.pixels[part], backbone.input), train.soft[part]


def _findings(channels: Channels, keep: Keep, before: Cost, after: Cost) -> dict[str, Any]:
    """Costs, channels of each layer that lost some, and groups: layers that lose them together."""
    made = (
        (use.layer.name, ids)
        for use in channels.uses
        for ids in use.settings.values()
        if not isinstance(ids, tuple)
    )
    widths = {name: [len(ids), len(channels.places(ids, keep))] for name, ids in made}
    return {
        "macs": [before.macs, after.macs],
        "parameters": [before.parameters, after.parameters],
        "channels": {name: width for name, width in widths.items() if width[0] != width[1]},
        "groups": [
            {"layers": list(group.layers), "channels": [len(group.units), int(keep[group.units].sum())]}
            for group in channels.groups
        ],
    }


def _share(before: int, after: int) -> str:
    return f"{100 * after / before:.1f}%"


STAGES = (
    Stage(
        id="channels",
        options=Options,
        run=run,
        not_after={"magnitude": "training what is left would fill the zeros again"},
    ),
)
