"""Between images and the stored numbers a file's input and output hold: numpy only, shared by all runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.contract import IOLike, TensorLike
from edgefer.pixels import PixelSpec
from edgefer.preprocessing import Floats, Pixels, match_channels, to_floats


def feed_for(pixels: Pixels, spec: PixelSpec, io: IOLike) -> npt.NDArray[Any]:
    """The input array of a file for uint8 images (N, H, W, C), in the file's own dtype and quantization."""
    if io.mode == "raw":
        raw = match_channels(pixels, spec)
        return raw if io.input.dtype == "uint8" else quantize(raw.astype(np.float32), io.input)
    return quantize(to_floats(pixels, spec), io.input)


def portions(count: int, sizes: Sequence[int]) -> list[int]:
    """How ``count`` images are dealt to calls of one of ``sizes`` each, which 1 is among: the largest first."""
    found = []
    for size in sorted(sizes, reverse=True):
        calls, count = divmod(count, size)
        found += [size] * calls
    return found


def quantize(values: Floats, tensor: TensorLike) -> npt.NDArray[Any]:
    """Real values to stored ones: round(v / scale) + zero point, saturated (TFLite quantization specification)."""
    if tensor.scale is None or tensor.zero_point is None:
        return np.ascontiguousarray(values.astype(tensor.dtype))
    limits = np.iinfo(tensor.dtype)
    stored = np.rint(values / np.float32(tensor.scale)) + tensor.zero_point
    saturated: npt.NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(tensor.dtype)
    return saturated


def dequantize(stored: npt.NDArray[Any], tensor: TensorLike) -> Floats:
    """Stored values to real ones: (q - zero point) * scale, as float32."""
    if tensor.scale is None or tensor.zero_point is None:
        return stored.astype(np.float32)
    return (stored.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
