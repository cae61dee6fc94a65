"""What pixels mean to a backbone, as plain arithmetic: shared by ``InputSpec`` and by devices that lack msgspec.

It imports the standard library only, because it is shipped to devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Bounds = tuple[float, float]


class PixelSpec(Protocol):
    """What preprocessing asks of a backbone's input; ``edgefer.spec.InputSpec`` says what each value means."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def color(self) -> str: ...
    @property
    def pixel_channels(self) -> int: ...
    @property
    def scale(self) -> tuple[float, ...]: ...
    @property
    def offset(self) -> tuple[float, ...]: ...


def channels_of(color: str) -> int:
    """Channels of the image itself: 1 for gray, 3 for colour."""
    return 1 if color == "gray" else 3


def scale_of(bounds: Bounds | None, std: Sequence[float] | None, channels: int) -> tuple[float, ...]:
    """Factor on a pixel 0..255 per backbone channel, for a range or for standard deviations in units of p / 255."""
    if bounds is not None:
        return ((bounds[1] - bounds[0]) / 255.0,) * channels
    return tuple(1.0 / (255.0 * s) for s in std or ())


def offset_of(
    bounds: Bounds | None, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> tuple[float, ...]:
    """Summand per backbone channel that goes with ``scale_of``."""
    if bounds is not None:
        return (bounds[0],) * channels
    return tuple(-m / s for m, s in zip(mean or (), std or (), strict=True))
