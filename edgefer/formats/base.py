"""What a format is, and the one export that feeds all formats of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from edgefer.artifact import Artifact, IOMode, IOSpec
from edgefer.contract import SUFFIXES, Container
from edgefer.errors import ConversionError, EdgeferError
from edgefer.formats.calibration import Method
from edgefer.preprocessing import Floats, Pixels, to_floats
from edgefer.quieting import quiet_native
from edgefer.spec import InputSpec, LabelSet

IODtype = Literal["uint8", "int8"]

FLOAT_OPERATIONS = "float_operations"
"""Key of a conversion's lineage: operations of an integer file that its converter left in float unasked."""


@dataclass(frozen=True)
class Export:
    """A backbone as a SavedModel with one or two signatures, and what formats need to know of it.

    ``mode`` "raw": signature ``float32`` takes pixel values 0..255 as float32 (N, H, W, pixel channels), signature
    ``uint8`` the same as uint8. ``mode`` "float": signature ``float32`` takes the backbone's own floats.
    All give ``probabilities`` float32 (N, classes). ``scratch`` is a folder for intermediate files that formats of
    one call share. ``folded`` says whether scaling went into the first layer. ``batches`` are the numbers of images
    that a Core ML file is to take as one array; empty: it is a classifier of one image.
    """

    directory: Path
    scratch: Path
    mode: IOMode
    folded: bool
    input: InputSpec
    labels: LabelSet
    batches: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the exported input."""
        channels = self.input.pixel_channels if self.mode == "raw" else self.input.channels
        return (self.input.height, self.input.width, channels)

    def feed(self, pixels: Pixels) -> Floats:
        """uint8 images (N, H, W, pixel channels) to the float32 signature's input."""
        return pixels.astype(np.float32) if self.mode == "raw" else to_floats(pixels, self.input)


class Converted(NamedTuple):
    """A converter's output file or package, how it wants to be fed, and what its lineage shall tell of its making."""

    payload: Path
    io: IOSpec
    config: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Calibration:
    """uint8 images (N, H, W, pixel channels) from the training split, how they were drawn, and their hash.

    ``method`` sets the ranges of activations. ``keep_float`` are patterns of layers that are not quantized,
    each with the names their operations may go by in a converted file (``keeping.float_layers`` finds them).
    """

    pixels: Pixels
    config: Mapping[str, Any]
    method: Method = "minmax"
    keep_float: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def by(self, method: Method, told: Mapping[str, Any] = MappingProxyType({})) -> Calibration:
        """The same images under another rule; ``told`` is how that came about, for the lineage."""
        return replace(self, method=method, config={**self.config, "method": method, **told})

    def keeping(self, layers: Mapping[str, tuple[str, ...]], told: Mapping[str, Any]) -> Calibration:
        """The same images for a network whose ``layers`` stay in float; ``told`` is which, for the lineage."""
        return replace(self, keep_float=layers, config={**self.config, **told})

    @property
    def plain(self) -> bool:
        """Whether a converter's own min-max calibration of the whole network does."""
        return self.method == "minmax" and not self.keep_float


@dataclass(frozen=True)
class Format:
    """Container and precision. ``extra`` names the pip extra that brings the converter.

    ``export(export, calibration, io_dtype)`` writes a payload into ``export.scratch``; ``calibration`` is given
    exactly if ``needs_calibration``; ``io_dtype`` is the integer type at the ends of full-integer files.
    ``guide(artifact)`` is the README that is written beside a finished file, or "". ``own_ranges``: its converter sets
    the activation ranges itself, so that there is no calibration method to choose. ``special``: it takes networks of
    one kind only, and is made where it is named, not as one of ``all``.
    """

    id: str
    container: Container
    precision: str
    suffix: str
    needs_calibration: bool
    extra: str
    export: Callable[[Export, Calibration | None, IODtype], Converted]
    guide: Callable[[Artifact], str]
    own_ranges: bool = False
    special: bool = False

    @property
    def adjustable(self) -> bool:
        """Whether it takes another calibration method than its converter's, and layers that stay in float."""
        return self.needs_calibration and not self.own_ranges


def no_guide(_artifact: Artifact) -> str:
    """What a file needs that any runtime reads alike."""
    return ""


def make_format(
    container: Container,
    precision: str,
    *,
    calibrated: bool,
    export: Callable[..., Converted],
    guide: Callable[[Artifact], str] = no_guide,
    own_ranges: bool = False,
    special: bool = False,
) -> Format:
    """A format by its two halves; the file suffix is the container's."""
    return Format(
        id=f"{container}-{precision}",
        container=container,
        precision=precision,
        suffix=next(suffix for suffix, name in SUFFIXES.items() if name == container),
        needs_calibration=calibrated,
        extra="convert",
        export=export,
        guide=guide,
        own_ranges=own_ranges,
        special=special,
    )


@contextmanager
def refusals(what: str, hint: str = "") -> Iterator[None]:
    """Run a converter quietly; whatever it raises becomes ``what``, with the first line of its own words.

    Raises:
        ConversionError: it raises something that is no typed error.
    """
    try:
        with quiet_native():
            yield
    except EdgeferError:
        raise
    except Exception as error:  # converters raise bare Exceptions and assertions alike
        raise ConversionError(f"{what} ({first_line(error)})", hint=hint) from error


def first_line(error: BaseException) -> str:
    """The first line that says something of a converter's long message, at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
