"""Float16 arithmetic as hardware does it: sums in float32, every result rounded to float16."""

from __future__ import annotations

import numpy as np

from edgefer.runtimes.mil.operation import Floats

_EXPONENT = np.uint32(0x7F800000)
_SMALLEST = np.float32(2**-14)  # of float16's normal numbers; below, it counts in the steps it has here
_LARGEST = np.float32(65504)
# Added and taken away again, 1.5 * 2**13 times a number's power of two leaves float16's 11 of float32's 24 bits,
# halves rounded to even. Source: the "magic number" rounding of Hacker's Delight, 2nd ed., section 17.
_MAGIC = np.float32(1.5 * 2**13)


def rounded(values: Floats) -> Floats:
    """``values`` rounded to the nearest float16, halves to even, held as float32; infinite from 65520 on.

    What ``astype(float16).astype(float32)`` does, several times as fast.
    """
    magic = (values.view(np.uint32) & _EXPONENT).view(np.float32)
    np.maximum(magic, _SMALLEST, out=magic)
    with np.errstate(over="ignore", invalid="ignore"):
        magic *= _MAGIC
        found = values + magic
        found -= magic
        if values.size and not (found.max() <= _LARGEST and found.min() >= -_LARGEST):
            return values.astype(np.float16).astype(np.float32)
    return found
