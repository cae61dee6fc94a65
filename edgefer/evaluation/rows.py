"""Which rows of a data set are judged."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

import numpy as np

from edgefer.datasets.base import SPLITS, Dataset, Split, Subset

Part = Split | Literal["all"]


def part_of(dataset: Dataset, part: Part) -> Subset:
    """The rows of one split, or of all of them one after the other.

    Raises:
        InputError: the set has no such rows.
    """
    if part != "all":
        return dataset.split(part)
    subsets = [dataset.splits[name] for name in SPLITS if len(dataset.splits.get(name, ()))]
    columns = {
        each.name: np.concatenate([getattr(subset, each.name) for subset in subsets])
        for each in fields(Subset)
    }
    return Subset(**columns)
