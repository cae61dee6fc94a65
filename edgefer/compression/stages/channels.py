"""Channel pruning: whole channels are removed, and what is left is an ordinary, smaller network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.graph import cost_of
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.compression.branches import as_converted
from edgefer.compression.channel_budget import Limits, Plans, plans, smallest_share
from edgefer.compression.channel_costs import Costs, Price
from edgefer.compression.channel_groups import Channels, Keep, channels_of
from edgefer.compression.channel_importance import (
    Importance,
    Scores,
    batch_norm_scales,
    taylor,
    weight_norms,
    with_batch_norm,
)
from edgefer.compression.channel_rebuild import rebuilt
from edgefer.compression.latency_budget import fast_enough, told
from edgefer.compression.shares import Shares, finished, refuse_unreachable
from edgefer.preprocessing import Floats, to_floats
from edgefer.sampling import balanced_rows
from edgefer.spec import Cost

# Gradients of small batches differ, and it is their squares that tell; larger ones average them away.
TAYLOR_BATCH = 16
HINT = "lower minimum or multiple, exclude fewer layers or choose another importance"


class Options(Shares, frozen=True):
    """Settings of the stage, beside its budget and ``tuning``.

    ``importance`` decides which channels go: ``weight`` norm, ``batch-norm`` scale (groups of channels without a batch
    norm stay whole), or first-order ``taylor`` on ``rows`` training images, classes as equal as they come. A group of
    channels keeps the share ``minimum`` of its width at least, and multiples of ``multiple``. Layers whose name matches
    a pattern of ``exclude`` keep all their channels.
    """

    importance: Importance = "taylor"
    rows: int = 512
    minimum: float = 0.1
    multiple: int = 8
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows < TAYLOR_BATCH:
            raise ValueError(f"rows must be at least {TAYLOR_BATCH}")
        if not 0 <= self.minimum <= 1:
            raise ValueError("minimum must be in [0, 1]")
        if self.multiple < 1:
            raise ValueError("multiple must be at least 1")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Remove channels until the budget is met, then train what is left. Parallel branches are merged first.

    Raises:
        InputError: a layer whose channels cannot be followed, named.
        SettingError: a budget that no plan can reach, a pattern of ``exclude`` that matches nothing.
        ConversionError: a layer that cannot be made again; under a budget in latency, a network that has no such file.
    """
    backbone = as_converted(backbone, workshop)
    channels = _candidates(channels_of(backbone.model, options.exclude), options.importance)
    costs, limits, counted = Costs(channels), Limits(options.minimum, options.multiple), options.counted
    if counted:
        price, target = counted
        refuse_unreachable(price, smallest_share(channels, costs, limits, price), target, HINT)
    scores = _scores(backbone, channels, options, workshop)
    row = plans(channels, costs, scores, limits, _price(options))
    keep, measured = (row.within(*counted), {}) if counted else _fast(backbone, row, options, workshop)
    pruned = replace(backbone, model=rebuilt(channels, keep), sha256="")
    after = cost_of(pruned.model)
    findings = {**_findings(channels, keep, costs.full, after), **measured}
    return finished(pruned, options, workshop, findings)


def _price(options: Options) -> Price | None:
    """What a step should save. Only Taylor scores can be weighed against what a channel costs."""
    if options.importance != "taylor":
        return None
    return options.counted[0] if options.counted else "macs"


def _scores(backbone: Backbone, channels: Channels, options: Options, workshop: Workshop) -> Scores:
    if options.importance == "taylor":
        return taylor(channels, _batches(backbone, options.rows, workshop))
    return (weight_norms if options.importance == "weight" else batch_norm_scales)(channels)


def _fast(
    backbone: Backbone, row: Plans, options: Options, workshop: Workshop
) -> tuple[Keep, dict[str, Any]]:
    """The first plan that is measured to be within the budget in latency, and what the search found."""

    def cut(steps: int) -> Backbone:
        return replace(backbone, model=rebuilt(row.channels, row.keep(steps)), sha256="")

    tried = fast_enough(backbone, cut, row.shares("macs"), options, workshop)
    return row.keep(tried[-1].cuts), {"latency": told(tried, options.batch)}


def _candidates(channels: Channels, importance: Importance) -> Channels:
    return replace(channels, groups=with_batch_norm(channels)) if importance == "batch-norm" else channels


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


STAGES = (
    Stage(
        id="channels",
        options=Options,
        run=run,
        not_after={"magnitude": "training what is left would fill the zeros again", **CORRECTED},
    ),
)
