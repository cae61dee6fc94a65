"""What an operation of an ML Program is to the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Op:
    """``compute`` takes the inputs by the names they have in MIL and returns an array, or a tuple of arrays.

    Constants of rank 0 arrive as Python or numpy scalars, float16 tensors as float32, data type names as text.
    ``exact``: every result is one of the inputs' values, so float16 inputs need no rounding afterwards.
    ``layouts``: how constant inputs are best laid out in memory, arranged once.
    Semantics are those of coremltools' ``converters/mil/mil/ops/defs``.
    """

    id: str
    compute: Callable[..., Any]
    exact: bool = False
    layouts: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)


def integers(values: Any) -> tuple[int, ...]:
    """A constant vector of sizes, axes or strides as Python integers."""
    return tuple(int(value) for value in np.atleast_1d(values))
