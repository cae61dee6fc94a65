"""The faces whose class changed, as small PNG pictures inside the page; only where their owner gives the data."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from edgefer.datasets.base import Subset
from edgefer.datasets.loading import load
from edgefer.errors import InputError
from edgefer.gating.record import Gate
from edgefer.preprocessing import Pixels
from edgefer.report.collect import Gated


def pictures_of(gates: tuple[Gated, ...], data: str | Path) -> dict[Path, tuple[str, ...]]:
    """Of each gate's file, the pictures of its ``worst`` rows as data URIs.

    Raises:
        InputError: the data cannot be read, or holds other test rows than the gate used.
    """
    return {gated.path: _pictures(gated.gate, _rows(gated, data)) for gated in gates}


def _rows(gated: Gated, data: str | Path) -> Subset:
    used = gated.gate.rows
    height, width, channels = used.image
    split = load(data, used.label_set, size=(height, width), channels=channels).split("test")
    if split.sha256 != used.split_sha256:
        raise InputError(
            f"{data}: other test rows than those of {gated.path} ({split.sha256[:12]}, not {used.split_sha256[:12]})",
            hint="give the data that the gate was run on, or leave --data away",
        )
    return split


def _pictures(gate: Gate, split: Subset) -> tuple[str, ...]:
    return tuple(_data_uri(split.pixels[flip.row]) for flip in gate.worst)


def _data_uri(pixels: Pixels) -> str:
    """uint8 (H, W, 1 or 3) as a PNG."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        content, format="PNG", optimize=True
    )
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
