"""Which rows an emulated board answers: all test rows, or as many of them as there is time for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgefer.datasets.base import Dataset


@dataclass(frozen=True)
class Rows:
    """``data`` with those of its ``of`` test rows that are answered, in order."""

    data: Dataset
    of: int

    @property
    def whole(self) -> bool:
        """Whether these are all test rows."""
        return len(self.data.split("test")) == self.of


def choose(data: Dataset, count: int) -> Rows:
    """``count`` of the test rows, evenly spread over their order and the same ones each time; 0 means all."""
    test = data.split("test")
    if not 0 < count < len(test):
        return Rows(data, len(test))
    spread = np.arange(count) * len(test) // count
    return Rows(replace(data, splits={**data.splits, "test": test.take(spread)}), len(test))
