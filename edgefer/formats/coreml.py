"""Core ML packages: float, with compressed weights, and with int8 weights and activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgefer.errors import ConversionError
from edgefer.formats.base import Calibration, Converted, Export, Format, IODtype, make_format, refusals
from edgefer.formats.coreml_activations import quantize
from edgefer.formats.coreml_guide import guide
from edgefer.formats.coreml_package import SPECIFICATIONS, Precision, System, float_package, io_of
from edgefer.formats.coreml_weights import (
    Compression,
    grouped_palette,
    integers,
    palette,
    pruned_palette,
)
from edgefer.runtimes.mil.contract import MINIMUM_OS, differences
from edgefer.runtimes.mil.package import describe

# Eight divides the channels of nearly all convolutions, and a table of 16 values for so few costs little.
GROUP = 8
# Without training on, F1 falls steeply beyond: benchmarks/coreml_accuracy.py shows what this costs.
SPARSITY = 0.3

_UNCOMPRESSED = ("coremltools cannot compress the network", "try another precision")


def _float(precision: Precision) -> Callable[..., Converted]:
    def export_format(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
        return _checked(export, float_package(export, precision), "iOS17", {})

    return export_format


def _compressed(precision: str, compression: Compression) -> Callable[..., Converted]:
    """Weights compressed on top of the float16 program."""

    def export_format(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
        base = float_package(export, "fp16", compression.system)
        payload = export.scratch / f"{precision}.mlpackage"
        with refusals(*_UNCOMPRESSED):
            import coremltools as ct

            compression.apply(ct.models.MLModel(str(base), skip_model_load=True)).save(str(payload))
        return _checked(export, payload, compression.system, compression.config)

    return export_format


def _w8a8(export: Export, calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
    """int8 weights and activations on top of the float16 program."""
    if calibration is None:
        raise ConversionError("this format needs calibration images")
    payload = export.scratch / "w8a8.mlpackage"
    with refusals(*_UNCOMPRESSED):
        model, config = quantize(export, calibration)
        model.save(str(payload))
    return _checked(export, payload, "iOS17", config)


def _checked(export: Export, payload: Path, system: System, config: Mapping[str, Any]) -> Converted:
    """A finished package, after its specification was held against what the artifact's contract will say.

    Raises:
        ConversionError: they differ.
    """
    io, minimum = io_of(export), MINIMUM_OS[SPECIFICATIONS[system]]
    if found := differences(describe(payload), io, export.labels, minimum):
        raise ConversionError(f"the package {'. It also '.join(found)}", hint="please report this network")
    listed = {"batches": list(io.batches)} if io.batches else {}
    return Converted(payload, io, {"minimum_os": minimum, **listed, **config})


def _format(precision: str, export: Callable[..., Converted], *, calibrated: bool = False) -> Format:
    return make_format("coreml", precision, calibrated=calibrated, export=export, guide=guide)


def _small(precision: str, compression: Compression) -> Format:
    return _format(precision, _compressed(precision, compression))


FORMATS = (
    _format("fp32", _float("fp32")),
    _format("fp16", _float("fp16")),
    _small("int8", integers()),
    _format("w8a8", _w8a8, calibrated=True),
    _small("pal8", palette(8)),
    _small("pal6", palette(6)),
    _small("pal4", palette(4)),
    _small("pal4g", grouped_palette(4, GROUP)),
    _small("sparse-pal6", pruned_palette(6, SPARSITY)),
)
