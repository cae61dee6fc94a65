"""In which order residual blocks go: always the one without which the network's answers change least.

What a block is worth depends on which others are left, so after each removal all that remain are asked again: greedy
elimination with measured losses, as in Song et al. 2024, "SLEB: Streamlining LLMs through Redundancy Verification and
Elimination of Transformer Blocks". What is measured here needs no labels: how far the answers are from the whole
network's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgefer.backbones.graph import Call
from edgefer.compression.channel_costs import Price
from edgefer.compression.residual_blocks import Block, cost_without, gated
from edgefer.metrics import divergence
from edgefer.preprocessing import Floats

BATCH = 256


class Removed(NamedTuple):
    """A block that goes, and the mean divergence in nats from the whole network's answers once it is gone."""

    block: Block
    divergence: float


def removal_order(
    model: Any, network: list[Call], blocks: Sequence[Block], floats: Floats, price: Price | None
) -> Iterator[Removed]:
    """The ``blocks`` of ``model`` in the order in which they go, each found when it is asked for.

    ``floats`` are network inputs (N, H, W, channels). With a ``price`` the rise in divergence counts for each
    multiply-accumulate or parameter that a block saves, else alone. A block inside one that is gone goes with it.
    """
    answers = _asker(model, blocks, floats)
    whole = answers(())
    gone: list[Block] = []
    before = 0.0
    while left := _left(blocks, gone):
        found = {block: divergence(whole, answers((*gone, block))) for block in left}
        saved = {block: _saving(network, gone, block, price) for block in left}
        block = min(left, key=lambda one: (found[one] - before) / saved[one])
        gone.append(block)
        before = found[block]
        yield Removed(block, before)


def _left(blocks: Sequence[Block], gone: Sequence[Block]) -> list[Block]:
    calls = frozenset[int]().union(*(block.calls for block in gone))
    return [block for block in blocks if block.call not in calls]


def _saving(network: list[Call], gone: list[Block], block: Block, price: Price | None) -> float:
    if price is None:
        return 1.0
    before, after = cost_without(network, gone), cost_without(network, (*gone, block))
    return max(float(getattr(before, price) - getattr(after, price)), 1.0)


def _asker(model: Any, blocks: Sequence[Block], floats: Floats) -> Callable[[Sequence[Block]], Floats]:
    """A function from blocks that are left out to the class probabilities (N, classes) for ``floats``."""
    network = gated(model, blocks)

    def answers(gone: Sequence[Block]) -> Floats:
        gates = np.array([[block not in gone for block in blocks]], np.float32)
        parts = [floats[start : start + BATCH] for start in range(0, len(floats), BATCH)]
        return np.concatenate(
            [network.predict_on_batch([part, np.repeat(gates, len(part), 0)]) for part in parts]
        )

    return answers
