"""Depth pruning: whole residual blocks are removed, and with them the time it takes to start their layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

from edgefer.backbones.base import Backbone
from edgefer.backbones.graph import Call, calls, cost_of
from edgefer.compression.base import CORRECTED, Result, Stage, Workshop
from edgefer.compression.block_importance import Removed, removal_order
from edgefer.compression.channel_costs import Price
from edgefer.compression.excluding import is_excluded, refuse_unmatched
from edgefer.compression.latency_budget import fast_enough, told
from edgefer.compression.residual_blocks import Block, blocks_of, cost_without, without_blocks
from edgefer.compression.shares import Shares, finished, refuse_unreachable
from edgefer.errors import InputError, SettingError
from edgefer.preprocessing import Floats, to_floats
from edgefer.sampling import balanced_rows


class Options(Shares, frozen=True):
    """Settings of the stage, beside its budget and ``tuning``.

    ``blocks`` is a budget as well: how many are to go. ``rows`` training images, classes as equal as they come, tell
    which blocks matter least. Those whose last layer, the one that adds, has a name that matches a pattern of
    ``exclude`` stay.
    """

    budgets: ClassVar[tuple[str, ...]] = (*Shares.budgets, "blocks")

    blocks: int | None = None
    rows: int = 256
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "rows"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


def run(backbone: Backbone, options: Options, workshop: Workshop) -> Result:
    """Remove blocks until the budget is met, then train what is left.

    Raises:
        InputError: the network has no block that can be left out.
        SettingError: a budget that leaving out all of them does not meet, a pattern of ``exclude`` that matches
            nothing.
        ConversionError: a layer that cannot be made again; under a budget in latency, a network that has no such file.
    """
    network = calls(backbone.model)
    blocks = _candidates(backbone, network, options.exclude)
    _refuse_unreachable(network, blocks, options)
    floats = _floats(backbone, options.rows, workshop)
    order = removal_order(backbone.model, network, blocks, floats, _price(options))
    removed, measured = _chosen(backbone, network, order, options, workshop)
    cut = _without(backbone, removed)
    before, after = cost_of(backbone.model), cost_of(cut.model)
    findings = {
        "macs": [before.macs, after.macs],
        "parameters": [before.parameters, after.parameters],
        "blocks": [len(blocks_of(network)), len(blocks_of(calls(cut.model)))],
        "removed": [{"block": one.block.name, "divergence": round(one.divergence, 6)} for one in removed],
        **measured,
    }
    workshop.note(f"without {', '.join(one.block.name for one in removed)}")
    return finished(cut, options, workshop, findings)


def _price(options: Options) -> Price | None:
    """What a block that goes should save; where so many are to go, nothing beside its worth.

    Time is priced in multiply-accumulates: blocks of one network have about as many layers to start, and differ in
    time as their arithmetic does. Of MobileNetV2 on 48x48 faces, early and late blocks of 1.2 million save 9 to 15
    microseconds each at batch 1, those of half a million in between 3 to 9.
    """
    if options.blocks:
        return None
    return options.counted[0] if options.counted else "macs"


def _candidates(backbone: Backbone, network: list[Call], exclude: Sequence[str]) -> tuple[Block, ...]:
    found = blocks_of(network)
    if not found:
        sums = sum(type(call.layer).__name__ == "Add" for call in network)
        reason = (
            f"in none of its {sums} sums is one tensor an unchanged shortcut"
            if sums
            else "it adds no tensors"
        )
        raise InputError(
            f"{backbone.name} has no residual block that can be left out: {reason}",
            hint="the stage channels makes layers narrower instead",
        )
    refuse_unmatched(exclude, (block.name for block in found), "block")
    return tuple(block for block in found if not is_excluded(block.name, exclude))


def _refuse_unreachable(network: list[Call], blocks: Sequence[Block], options: Options) -> None:
    hint = "exclude fewer blocks, or let the stage channels do the rest"
    if not blocks or len(blocks) < (options.blocks or 0):
        raise SettingError(
            f"blocks: only {len(blocks)} may be left out",
            key="blocks" if options.blocks else "exclude",
            hint=hint,
        )
    if options.counted:
        price, target = options.counted
        whole, least = cost_without(network, ()), cost_without(network, blocks)
        refuse_unreachable(price, getattr(least, price) / getattr(whole, price), target, hint)


def _floats(backbone: Backbone, rows: int, workshop: Workshop) -> Floats:
    train = workshop.dataset.split("train")
    return to_floats(train.pixels[balanced_rows(train.labels, rows, workshop.seed)], backbone.input)


def _chosen(
    backbone: Backbone, network: list[Call], order: Iterable[Removed], options: Options, workshop: Workshop
) -> tuple[list[Removed], dict[str, Any]]:
    """The blocks that go, and what a search by latency found."""
    if options.blocks:
        return list(islice(order, options.blocks)), {}
    if options.counted:
        return _until(network, order, *options.counted), {}
    every = list(order)
    whole = cost_without(network, ()).macs
    sizes = [
        cost_without(network, [one.block for one in every[:cuts]]).macs / whole
        for cuts in range(len(every) + 1)
    ]
    tried = fast_enough(backbone, lambda cuts: _without(backbone, every[:cuts]), sizes, options, workshop)
    return every[: tried[-1].cuts], {"latency": told(tried, options.batch)}


def _until(network: list[Call], order: Iterable[Removed], price: Price, target: float) -> list[Removed]:
    """As few of the first as meet a budget that is counted."""
    whole, removed = getattr(cost_without(network, ()), price), []
    for one in order:
        removed.append(one)
        left = cost_without(network, [each.block for each in removed])
        if getattr(left, price) <= target * whole:
            break
    return removed


def _without(backbone: Backbone, removed: Sequence[Removed]) -> Backbone:
    model = without_blocks(backbone.model, [one.block for one in removed])
    return replace(backbone, model=model, sha256="")


STAGES = (
    Stage(
        id="blocks",
        options=Options,
        run=run,
        not_after={
            "channels": "channels were chosen, and trained, beside blocks that would now go",
            "magnitude": "training what is left would fill the zeros again",
            **CORRECTED,
        },
    ),
)
