"""Resizing that computes new values."""

from __future__ import annotations

import numpy as np

from edgefer.runtimes.mil.operation import Floats, Op


def upsample_bilinear(
    x: Floats, scale_factor_height: float = 1, scale_factor_width: float = 1, align_corners: bool = True
) -> Floats:
    """``x`` (..., H, W) on a grid so many times as fine, each value between the four around it."""
    wide = _between(x, int(x.shape[-1] * scale_factor_width), align_corners)
    tall = _between(wide.swapaxes(-1, -2), int(x.shape[-2] * scale_factor_height), align_corners)
    return tall.swapaxes(-1, -2)


def _between(x: Floats, size: int, align_corners: bool) -> Floats:
    """``x`` at ``size`` places along its last axis: from its first to its last value, or all of one width."""
    last = x.shape[-1] - 1
    if align_corners:
        places = np.arange(size) * (last / max(size - 1, 1))
    else:
        places = (np.arange(size) + 0.5) * (x.shape[-1] / size) - 0.5
    places = np.clip(places, 0, last)
    before = places.astype(np.int64)
    share = (places - before).astype(np.float32)
    left, right = x[..., before], x[..., np.minimum(before + 1, last)]
    found: Floats = left + (right - left) * share
    return found


OPS = (Op("upsample_bilinear", upsample_bilinear),)
