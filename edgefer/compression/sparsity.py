"""How many of a network's weights are zero, and what that is worth in bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.spec import Frozen


class Sizes(Frozen, frozen=True):
    """Bytes of all weights as float32: as they are, and compressed by gzip."""

    stored: int
    gzip: int


def sizes_of(model: Any) -> Sizes:
    """Count the bytes of a Keras network's weights, optimizer and file headers left aside."""
    content = b"".join(np.asarray(weight, np.float32).tobytes() for weight in model.get_weights())
    # Level 6 is what a web server or an app package uses.
    return Sizes(stored=len(content), gzip=len(gzip.compress(content, compresslevel=6, mtime=0)))


def sparsity_of(weights: Iterable[npt.NDArray[Any]]) -> float:
    """Share of exact zeros (0..1) among all values of some arrays."""
    arrays = list(weights)
    return sum(int(np.sum(array == 0)) for array in arrays) / max(1, sum(array.size for array in arrays))
