"""Sliding windows, as convolution and pooling have them: padding, output sizes, and the view of each tap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgefer.runtimes.mil.operation import Array, integers


class Windows(NamedTuple):
    """Per spatial dimension: kernel size, stride, dilation, padding (before, after) and number of windows."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]


def windows(
    sizes: Sequence[int],
    kernel: Sequence[int],
    *,
    strides: Any = None,
    dilations: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    ceil_mode: bool = False,
) -> Windows:
    """The windows over an input of spatial ``sizes``; the keywords mean what they mean for MIL's ``conv``."""
    rank = len(sizes)
    steps = (1,) * rank if strides is None else integers(strides)
    spread = (1,) * rank if dilations is None else integers(dilations)
    spans = [(size - 1) * gap + 1 for size, gap in zip(kernel, spread, strict=True)]
    padding = _padding(pad_type, pad, list(zip(sizes, spans, steps, strict=True)))
    found = [
        _count(size, span, step, *edges, ceil_mode=ceil_mode)
        for size, span, step, edges in zip(sizes, spans, steps, padding, strict=True)
    ]
    if ceil_mode:  # a last window that begins within the input may end behind it
        padding = [
            (before, after + max(0, (count - 1) * step + span - size - before - after))
            for (before, after), count, step, span, size in zip(
                padding, found, steps, spans, sizes, strict=True
            )
        ]
    return Windows(tuple(kernel), steps, spread, tuple(padding), tuple(found))


def _padding(kind: str, pad: Any, dimensions: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """``dimensions`` are (size, span of the kernel, stride)."""
    if kind == "valid":
        return [(0, 0)] * len(dimensions)
    if kind == "custom":
        edges = integers(pad)
        return list(zip(edges[::2], edges[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise ValueError(f"unknown padding {kind!r}")
    totals = [max(0, -(-size // step) * step - size + span - step) for size, span, step in dimensions]
    small = [(total // 2, total - total // 2) for total in totals]
    return small if kind == "same" else [(after, before) for before, after in small]


def _count(size: int, span: int, step: int, before: int, after: int, *, ceil_mode: bool) -> int:
    room = size + before + after - span
    if not ceil_mode:
        return room // step + 1
    count = -(-room // step) + 1
    # A window that would begin in the padding behind the input does not count.
    return count - 1 if (count - 1) * step >= size + before and (before or after) else count


def padded(x: Array, over: Windows, value: float = 0.0) -> Array:
    """``x`` (N, spatial..., C) with its padding around the spatial dimensions."""
    if not any(any(edges) for edges in over.padding):
        return x
    return np.pad(x, [(0, 0), *over.padding, (0, 0)], constant_values=value)


def taps(x: Array, over: Windows) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each place in the kernel with its view (N, windows..., C) of the padded ``x`` (N, spatial..., C)."""
    for place in np.ndindex(*over.kernel):
        cuts = (
            slice(at * gap, at * gap + (count - 1) * step + 1, step)
            for at, gap, count, step in zip(place, over.dilations, over.counts, over.strides, strict=True)
        )
        yield place, x[(slice(None), *cuts)]
