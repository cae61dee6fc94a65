"""How a chain of stages ends: in files, made by the pipeline as ``edgefer convert`` has them made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgefer.backbones.base import Backbone
from edgefer.datasets.base import Dataset
from edgefer.errors import ConversionError, InputError, SettingError
from edgefer.evidence import drawn_faces
from edgefer.formats.base import Format
from edgefer.mixing import AccuracyBudget
from edgefer.pipeline import (
    Advance,
    FileRecord,
    Options,
    Outcome,
    convert,
    formats_named,
    require_adjustable,
    require_integer_ends,
)
from edgefer.recipe import ConvertPart


@dataclass(frozen=True)
class Conversion:
    """What a recipe says, in ``part``, and what that means to the pipeline."""

    part: ConvertPart
    formats: tuple[Format, ...]
    options: Options


def read_conversion(part: ConvertPart, seed: int) -> Conversion:
    """Understand a recipe's ``[convert]`` table; calibration images are drawn with ``seed``.

    Raises:
        SettingError: an unknown format, or float layers, a calibration method or an integer type where no format has
            any.
    """
    formats = _setting("convert.formats", formats_named, part.formats)
    options = Options(
        mode=part.input,
        io_dtype=part.io,
        calibration=part.calibration,
        seed=seed,
        method=part.calibration_method,
        keep_float=_float_layers(part),
    )
    key = "convert.keep_float" if part.keep_float else "convert.calibration_method"
    _setting(key, partial(require_adjustable, options=options), formats)
    _setting("convert.io", partial(require_integer_ends, options=options), formats)
    return Conversion(part, tuple(formats), options)


def make_files(
    conversion: Conversion, backbone: Backbone, dataset: Dataset, out: Path, advance: Advance
) -> tuple[FileRecord, ...]:
    """Convert ``backbone`` into ``out``; what cannot be made is told in the records.

    The input range is that of all the work before, which took it for right.

    Raises:
        InputError: as ``convert`` does.
    """
    options = replace(conversion.options, trust_range=True)
    source = dataset if conversion.part.golden == "data" else drawn_faces(backbone)
    try:
        outcomes = convert(backbone, conversion.formats, dataset, source, out, options, advance)
    except ConversionError as error:  # the stages' work is not lost because its network has no files
        outcomes = [Outcome(form.id, None, 0, 0.0, None, error) for form in conversion.formats]
    return tuple(outcome.record for outcome in outcomes)


def _float_layers(part: ConvertPart) -> tuple[str, ...] | AccuracyBudget:
    if part.keep_float != "auto":
        return part.keep_float
    return AccuracyBudget() if part.max_drop is None else AccuracyBudget(part.max_drop)


def _setting(key: str, read: Callable[[Any], Any], value: Any) -> Any:
    """``read(value)``; what is wrong with it is wrong with the setting ``key``."""
    try:
        return read(value)
    except InputError as error:
        raise SettingError(f"{key}: {error.message}", key=key, hint=error.hint) from error
