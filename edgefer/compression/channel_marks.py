"""Numbers for channels: what travels through a network while it is found out which channels belong together.

Every place of a tensor's last axis carries the number of the channel that stands there. Two numbers are tied where one
channel cannot be removed without the other, and frozen where a channel has to stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.intp]


class UnsupportedError(Exception):
    """A layer, as it is used here, whose channels cannot be followed; the message is the reason."""


@dataclass(frozen=True)
class Traced:
    """A tensor (N, …, C) as ``spec`` (a ``keras.KerasTensor``) with the C channel numbers of its last axis.

    The same number may stand at several places: a flattened map has each of its channels at every position.
    """

    spec: Any
    ids: Ids


@dataclass(frozen=True)
class Weight:
    """One weight of a layer.

    ``ids`` gives the channel numbers along those of its axes that shrink with channels; ``reads`` is the axis that
    sums over a tensor's channels, ``makes`` the one that new channels come from. ``scale`` marks a batch norm's gamma.
    ``uses`` counts the multiply-accumulates that one entry takes part in for one image.
    """

    shape: tuple[int, ...]
    ids: Mapping[int, Ids] = field(default_factory=dict)
    reads: int | None = None
    makes: int | None = None
    scale: bool = False
    uses: int = 0


@dataclass(frozen=True)
class Use:
    """What a layer does with channels.

    ``weights`` in the order of ``layer.weights``; ``settings`` of its configuration that change with the number of
    channels: an array of channel numbers stands for how many of them are kept.
    """

    layer: Any
    output: Ids
    weights: tuple[Weight, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Marks:
    """Hands out channel numbers and remembers which are tied and which are frozen."""

    def __init__(self) -> None:
        self.count = 0
        self.ties: list[tuple[Ids, Ids]] = []
        self.frozen: list[Ids] = []

    def fresh(self, number: int) -> Ids:
        """New numbers, shape (number,)."""
        self.count += number
        return np.arange(self.count - number, self.count)

    def kept(self, number: int) -> Ids:
        """New numbers of channels that stay."""
        ids = self.fresh(number)
        self.freeze(ids)
        return ids

    def tie(self, one: Ids, other: Ids) -> None:
        """Channels of equal place are removed together."""
        if len(one) != len(other):
            raise UnsupportedError(f"it is called on {len(one)} and on {len(other)} channels")
        self.ties.append((one, other))

    def freeze(self, ids: Ids) -> None:
        """These channels stay."""
        self.frozen.append(ids)
