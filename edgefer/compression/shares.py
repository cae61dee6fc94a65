"""The settings of a stage that cuts a network down: how much of it is to be kept, and of what."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from edgefer.backbones.base import Backbone
from edgefer.compression.base import Result, Workshop
from edgefer.compression.channel_costs import Price
from edgefer.errors import SettingError
from edgefer.recipe import Tuning
from edgefer.spec import Frozen


class Shares(Frozen, frozen=True):
    """One budget, and what follows when it is met.

    ``macs``, ``parameters`` or ``latency`` is the share to keep of what the network that comes into the stage costs:
    multiply-accumulates, parameters, or the measured time for ``batch`` images. ``tuning`` trains what is left with the
    network that came into the run as its teacher; without it the network stays as cutting left it.
    """

    budgets: ClassVar[tuple[str, ...]] = ("macs", "parameters", "latency")

    macs: float | None = None
    parameters: float | None = None
    latency: float | None = None
    batch: int = 1
    tuning: Tuning | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in self.budgets) != 1:
            raise ValueError(f"{' or '.join(self.budgets)} has to be given, and only one of them")
        for name in ("macs", "parameters", "latency"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise ValueError(f"{name} must be between 0 and 1 (at 1 there is nothing to prune)")
        if self.batch < 1:
            raise ValueError("batch must be at least 1")
        if self.batch > 1 and self.latency is None:
            raise ValueError("batch counts only where latency is the budget")

    @property
    def counted(self) -> tuple[Price, float] | None:
        """The budget that is counted and not measured: of what, and the share."""
        if self.macs is not None:
            return "macs", self.macs
        return None if self.parameters is None else ("parameters", self.parameters)


def refuse_unreachable(price: Price, smallest: float, target: float, hint: str) -> None:
    """Raise ``SettingError``, naming the ``smallest`` share that there is, unless it is at most ``target``."""
    if smallest > target:
        raise SettingError(
            f"{price}: no plan keeps as little as {target:g}; the smallest that can be reached is "
            f"{math.ceil(smallest * 1000) / 1000:g}",
            key=price,
            hint=hint,
        )


def finished(cut: Backbone, options: Shares, workshop: Workshop, findings: dict[str, Any]) -> Result:
    """Say what is left, train it if that is asked for.

    ``findings`` hold ``macs`` and ``parameters``, each before and after.
    """
    macs, parameters = (after / before for before, after in (findings["macs"], findings["parameters"]))
    workshop.note(f"{macs:.1%} of the MACs and {parameters:.1%} of the parameters are left")
    if options.tuning:
        cut = workshop.tune(cut, options.tuning, "tuning", teacher=workshop.original)
    return Result(cut, findings)
