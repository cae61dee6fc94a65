"""Small frozen types that travel through the whole house.

Unknown keys are refused and values are validated at construction, so that a mistyped field in a recipe, a sidecar or
an artifact is an error where it stands and not a wrong number later.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from edgefer.errors import InputError
from edgefer.pixels import channels_of, offset_of, scale_of

PixelRange = tuple[float, float]
Color = Literal["gray", "rgb", "bgr"]


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records: immutable, keyword-only, unknown keys refused."""


class LabelSet(Frozen, frozen=True):
    """Class names in output order.

    ``source`` is the protocol the names come from: ``ferplus-9``, ``ferplus-8``, ``fer2013-7``, ``folder``, ….
    """

    source: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) < 2 or len(set(self.names)) != len(self.names) or not all(self.names):
            raise ValueError("labels must be at least two different, non-empty names")

    def __len__(self) -> int:
        return len(self.names)


class InputSpec(Frozen, frozen=True):
    """What a backbone's input tensor means, from an image's pixels on.

    A pixel value p in 0..255 becomes ``p * scale + offset``: either ``range = (lo, hi)`` maps 0..255 linearly to
    lo..hi, or ``mean`` and ``std`` (in units of p / 255, one value a channel) give ``(p / 255 - mean) / std``.
    ``color = "gray"`` with ``channels = 3`` means three equal gray channels.
    """

    height: int
    width: int
    channels: Literal[1, 3]
    color: Color = "gray"
    range: PixelRange | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    dtype: Literal["float32"] = "float32"
    resize: Literal["bilinear"] = "bilinear"
    layout: Literal["NHWC"] = "NHWC"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError("height and width must be positive")
        if self.color != "gray" and self.channels != 3:
            raise ValueError(f"color {self.color!r} needs 3 channels")
        if (self.range is None) == (self.mean is None) or (self.mean is None) != (self.std is None):
            raise ValueError("give either range, or mean and std")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("range must ascend")
        for values in (self.mean, self.std):
            if values is not None and len(values) != self.channels:
                raise ValueError(f"mean and std need {self.channels} values each")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be positive")

    @property
    def pixel_channels(self) -> int:
        """Channels of the image itself: 1 for gray, 3 for colour."""
        return channels_of(self.color)

    @property
    def scale(self) -> tuple[float, ...]:
        """Factor per backbone channel, shape (channels,)."""
        return scale_of(self.range, self.std, self.channels)

    @property
    def offset(self) -> tuple[float, ...]:
        """Summand per backbone channel, shape (channels,)."""
        return offset_of(self.range, self.mean, self.std, self.channels)

    def describe_range(self) -> str:
        """The pixel mapping in the grammar that ``parse_range`` reads."""
        if self.range is not None:
            return f"{self.range[0]:g}..{self.range[1]:g}"
        return (
            "mean:"
            + ",".join(f"{m:g}" for m in self.mean or ())
            + "/std:"
            + ",".join(f"{s:g}" for s in self.std or ())
        )


_RANGE = re.compile(r"(?P<lo>-?\d+(?:\.\d+)?)\.\.(?P<hi>-?\d+(?:\.\d+)?)")
_MEAN_STD = re.compile(r"mean:(?P<mean>[-\d.,e]+)/std:(?P<std>[-\d.,e]+)")


def parse_range(text: str, channels: int) -> dict[str, Any]:
    """Read ``-1..1`` or ``mean:M[,M,M]/std:S[,S,S]`` into InputSpec fields.

    Raises:
        InputError: the text is neither.
    """
    hint = "write 0..1, -1..1, 0..255 or mean:M,M,M/std:S,S,S (mean and std in units of pixel/255)"
    if match := _RANGE.fullmatch(text):
        lo, hi = float(match["lo"]), float(match["hi"])
        if not lo < hi:
            raise InputError(f"range {text!r} does not ascend", hint=hint)
        return {"range": (lo, hi)}
    if match := _MEAN_STD.fullmatch(text):
        try:
            mean, std = ([float(v) for v in match[key].split(",")] for key in ("mean", "std"))
        except ValueError:
            raise InputError(f"range {text!r} holds something that is no number", hint=hint) from None
        mean, std = (v * channels if len(v) == 1 else v for v in (mean, std))
        if len(mean) != channels or len(std) != channels or min(std) <= 0:
            raise InputError(f"range {text!r} needs {channels} means and {channels} positive stds", hint=hint)
        return {"mean": tuple(mean), "std": tuple(std)}
    raise InputError(f"cannot read the range {text!r}", hint=hint)


class Cost(Frozen, frozen=True):
    """Size of a network.

    ``macs``: multiply-accumulates of convolutions, dense layers and attention for one image.
    """

    parameters: int
    macs: int
    layers: int


class Step(Frozen, frozen=True):
    """One entry of a lineage: what was done, with which settings, in how many seconds."""

    name: str
    config: dict[str, Any] = {}
    seconds: float = 0.0


Lineage = tuple[Step, ...]
