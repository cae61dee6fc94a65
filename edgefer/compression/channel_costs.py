"""Parameters and multiply-accumulates of a network with some of its channels removed, without building it.

Every weight's size is a product of how many channels are kept along its axes, and its multiply-accumulates are that
size times how often each entry is used for one image.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgefer.backbones.graph import cost_of
from edgefer.compression.channel_groups import Channels
from edgefer.spec import Cost

Price = Literal["macs", "parameters"]
Counts = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]


class Costs:
    """What a network costs, by the number of units kept in each of its groups: ``Counts``, shape (groups,)."""

    def __init__(self, channels: Channels) -> None:
        weights = [weight for use in channels.uses for weight in use.weights]
        axes = _Axes(channels)
        pairs = np.array([axes.of(weight.ids.values()) for weight in weights], np.intp).reshape(-1, 2)
        self._first, self._second = pairs.T
        self._lengths, self._shares = axes.lengths()
        self._entries = np.array([_fixed_entries(weight) for weight in weights], np.float64)
        self._uses = np.array([weight.uses for weight in weights], np.float64)
        self.widths: Counts = np.array([len(group.units) for group in channels.groups], np.int64)
        self.full = cost_of(channels.model)
        # Layers that stay as they are, attention for instance, have costs that no weight here accounts for.
        self._rest = {
            price: getattr(self.full, price) - self._sum(price, self.widths)
            for price in ("macs", "parameters")
        }

    def of(self, counts: Counts) -> Cost:
        """The cost of a network with that many units kept in each group."""
        macs, parameters = (
            round(self._rest[price] + self._sum(price, counts)) for price in ("macs", "parameters")
        )
        return Cost(parameters=parameters, macs=macs, layers=self.full.layers)

    def share(self, price: Price, counts: Counts) -> float:
        """The part of the whole network's multiply-accumulates or parameters that is kept."""
        return float(getattr(self.of(counts), price) / getattr(self.full, price))

    def savings(self, price: Price, counts: Counts) -> Vector:
        """What one unit less of each group saves, shape (groups,): the cost's derivative."""
        lengths = self._kept_lengths(counts)
        each = self._factors(price) * self._entries
        slopes = np.bincount(self._first, each * lengths[self._second], len(lengths))
        slopes += np.bincount(self._second, each * lengths[self._first], len(lengths))
        return np.asarray(slopes @ self._shares)

    def _sum(self, price: str, counts: Counts) -> float:
        lengths = self._kept_lengths(counts)
        return float(
            (self._factors(price) * self._entries * lengths[self._first] * lengths[self._second]).sum()
        )

    def _factors(self, price: str) -> Vector:
        return self._uses if price == "macs" else np.ones_like(self._uses)

    def _kept_lengths(self, counts: Counts) -> Vector:
        return np.asarray(self._lengths - self._shares @ (self.widths - counts))


def _fixed_entries(weight: Any) -> int:
    """Product of those dimensions that do not shrink."""
    return int(
        np.prod([size for axis, size in enumerate(weight.shape) if axis not in weight.ids], dtype=np.int64)
    )


class _Axes:
    """The different rows of channels along weights' axes; row 0 is an axis of length 1 that never shrinks."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._rows: dict[bytes, int] = {b"": 0}
        self._ids = [np.empty(0, np.intp)]

    def of(self, axes: Any) -> tuple[int, int]:
        """Rows of a weight's shrinking axes; there are two of them at most."""
        rows = [self._row(self._channels.unit_of[ids]) for ids in axes]
        first, second = (*rows, 0, 0)[:2]
        return first, second

    def _row(self, units: npt.NDArray[np.intp]) -> int:
        row = self._rows.setdefault(units.tobytes(), len(self._ids))
        if row == len(self._ids):
            self._ids.append(units)
        return row

    def lengths(self) -> tuple[Vector, Vector]:
        """Length of each row (R,), and how much of it each unit of a group takes (R, groups)."""
        lengths = np.array([max(len(ids), 1) for ids in self._ids], np.float64)
        shares = np.zeros((len(lengths), len(self._channels.groups)))
        for number, group in enumerate(self._channels.groups):
            # Units of one group stand on the same axes equally often: the first speaks for all.
            shares[:, number] = [np.count_nonzero(ids == group.units[0]) for ids in self._ids]
        return lengths, shares
