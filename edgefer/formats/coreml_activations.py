"""int8 activations for Core ML, calibrated without a Mac.

coremltools' own ``linear_quantize_activations`` runs the model on macOS to see its activations. What it does with them
is a graph pass, and runs anywhere: here the reference executor looks at the activations of the saved float16 package,
the same passes place ``quantize`` and ``dequantize`` where Core ML can fuse them, and weights follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgefer.formats.base import Calibration, Export
from edgefer.formats.calibration import SYMMETRIC, ranges
from edgefer.formats.coreml_package import INPUT, float_package, graph_names
from edgefer.formats.keeping import kept
from edgefer.quantization import Range
from edgefer.runtimes.mil.model import Operation
from edgefer.runtimes.mil.operation import Array
from edgefer.runtimes.mil.package import Package, open_package

BATCH = 16  # images whose activations are held at once
_WEIGHTED = ("conv", "linear", "matmul")
_INTEGER = ("conv", "linear", "add", "avg_pool", "max_pool")  # what coremltools' passes know


def quantize(export: Export, calibration: Calibration) -> tuple[Any, dict[str, Any]]:
    """A package of int8 weights and activations as an MLModel, and what to tell of it.

    Raises:
        ConversionError: a layer to be kept in float is not found.
        TargetUnavailableError: the reference executor does not know an operation of the network.
    """
    base = float_package(export, "fp16")
    package = open_package(base)
    found = ranges(_passes(package, export, calibration), calibration.method, SYMMETRIC, whole={INPUT})
    float_operations = _kept_float(package, export, calibration)
    model = _with_activations(base, found, float_operations)
    return _with_weights(model, float_operations), {
        "weights": "int8, a scale an output channel",
        "activations": "int8, a scale a tensor",
        "observed_by": f"reference executor ({package.executor.precision})",
    }


def _passes(
    package: Package, export: Export, calibration: Calibration
) -> Callable[[], Iterator[Mapping[str, Array]]]:
    """Runs of the float16 program over the calibration images, ``BATCH`` at a time: float results by name."""

    def passes() -> Iterator[Mapping[str, Array]]:
        for start in range(0, len(calibration.pixels), BATCH):
            images = export.feed(calibration.pixels[start : start + BATCH])
            yield _observed(package, images)

    return passes


def _observed(package: Package, images: Array) -> Mapping[str, Array]:
    import numpy as np

    parts: dict[str, list[Array]] = {}

    def observe(name: str, value: Array) -> None:
        if value.dtype.kind == "f":
            parts.setdefault(name, []).append(value.copy())

    package.executor.run(package.feed(images), observe=observe)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _with_activations(base: Path, found: Mapping[str, Range], float_operations: list[str]) -> Any:
    """Quantize/dequantize pairs around what Core ML runs in integers, as coremltools places them on a Mac."""
    import coremltools as ct
    from coremltools import _SPECIFICATION_VERSION_IOS_17
    from coremltools.converters.mil.frontend.milproto import load
    from coremltools.converters.mil.mil.passes.graph_pass import PassOption
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.models import utils

    config = _config(_INTEGER, float_operations)
    stats = {name: _widened(one) for name, one in found.items()}
    passes = []
    for name in ("insert_prefix_quantize_dequantize_pair", "insert_suffix_quantize_dequantize_pair"):
        insertion = PASS_REGISTRY[f"compression::{name}"]
        insertion.set_options([PassOption("config", config), PassOption("activation_stats", stats)])
        passes.append(insertion)
    passes.append(PASS_REGISTRY["common::dequantize_quantize_pair_elimination"])
    return utils._apply_graph_pass(
        ct.models.MLModel(str(base), skip_model_load=True),
        passes,
        spec_version=_SPECIFICATION_VERSION_IOS_17,
        pymil_load_func=load.load,
        skip_model_load=True,
    )


def _widened(one: Range) -> dict[str, float]:
    """A range as coremltools wants it; that of a tensor which is always 0 must not give a scale of 0."""
    low, high = min(one.low, 0.0), max(one.high, 0.0)
    return {"rmin": low, "rmax": high if low < high else 1.0}


def _with_weights(model: Any, float_operations: list[str]) -> Any:
    import coremltools.optimize as cto

    return cto.coreml.linear_quantize_weights(model, _config(_WEIGHTED, float_operations))


def _config(kinds: Iterable[str], float_operations: list[str]) -> Any:
    """int8 of every operation of these kinds but the named ones, small kernels included, or they would run in float."""
    import coremltools.optimize as cto

    each = cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    return cto.coreml.OptimizationConfig(
        op_type_configs=dict.fromkeys(kinds, each), op_name_configs=dict.fromkeys(float_operations)
    )


def _kept_float(package: Package, export: Export, calibration: Calibration) -> list[str]:
    """Operations of the program that come of layers to be kept in float."""
    if not calibration.keep_float:
        return []
    names = graph_names(export)
    program = [each for each in package.model.operations if each.type in {*_INTEGER, *_WEIGHTED}]
    origins = {each.outputs[0].name: _origin(each, package, names) for each in program}
    return kept(origins, calibration.keep_float)


def _origin(operation: Operation, package: Package, names: Mapping[str, str]) -> str:
    """The exported graph's name of an operation; a new one of coremltools is known by what reads its result."""
    output = operation.outputs[0].name
    readers = (o.outputs[0].name for o in package.model.operations if output in _read(o))
    known = (names.get(name.removesuffix("_cast_fp16")) for name in (output, *readers))
    return next((name for name in known if name), "")


def _read(operation: Operation) -> set[str]:
    """Names of the results that an operation reads."""
    return {one for binding in operation.inputs.values() for one in binding if isinstance(one, str)}
