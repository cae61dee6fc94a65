"""Core ML packages through coremltools' own predict, which exists on macOS only.

A runtime a choice of compute units: all of them, which is the default, the CPU with the Neural Engine, the CPU with the
GPU, the CPU alone. Which of the allowed units an operation runs on is Core ML's choice; its compute plan tells.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edgefer.contract import Loadable, ManifestLike
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.runtimes.base import Runtime, Session
from edgefer.runtimes.feeding import feed_for, portions

MAIN = "main"
# Core ML's classes of devices, in words.
DEVICES = {
    "MLCPUComputeDevice": "CPU",
    "MLGPUComputeDevice": "GPU",
    "MLNeuralEngineComputeDevice": "Neural Engine",
}


def _missing() -> str:
    if platform.system() != "Darwin":
        return "needs macOS"
    try:
        version("coremltools")
    except PackageNotFoundError:
        return "needs coremltools; run: pip install coremltools"
    return ""


def open_session(units: str, artifact: Loadable, threads: int) -> Session:
    """A package on the compute units that coremltools calls ``units``; ``threads`` is not ours to set there.

    Raises:
        TargetUnavailableError: this is no Mac, or coremltools is missing.
        InputError: Core ML does not load the package.
        VerificationError: the package is not what its contract says.
    """
    del threads
    model = _load(units, artifact)
    executed_on = f"Core ML (macOS {platform.mac_ver()[0]}, {units})"
    kind = ArraySession if artifact.manifest.io.batches else ClassifierSession
    return kind(model, artifact.manifest, executed_on)


class _Loaded:
    """A package that Core ML has loaded, and what its contract says of it."""

    def __init__(self, model: Any, manifest: ManifestLike, executed_on: str) -> None:
        self.executed_on = executed_on
        self._model = model
        self._spec = manifest.input
        self._io = manifest.io
        self._names = manifest.labels.names


class ClassifierSession(_Loaded):
    """A loaded classifier. It takes one image a call, so a batch is Core ML's batch predict over N images."""

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to one input dictionary an image."""
        feed = feed_for(pixels, self._spec, self._io)
        if self._io.mode == "float":
            return [{self._io.input.name: image[None]} for image in feed]
        from PIL import Image

        return [{self._io.input.name: Image.fromarray(image.squeeze())} for image in feed]

    def run(self, feed: Any) -> Any:
        """One batch predict."""
        return self._model.predict(feed)

    def decode(self, outputs: Any) -> Floats:
        """The classifier's dictionaries to float32 (N, classes) in label order."""
        rows = [[row[self._io.output.name][name] for name in self._names] for row in outputs]
        return np.asarray(rows, np.float32)


class ArraySession(_Loaded):
    """A loaded model of arrays, for the batch sizes that it lists. A batch of these is one call, any other several."""

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to one input dictionary a call."""
        feed = feed_for(pixels, self._spec, self._io)
        ends = np.cumsum(portions(len(feed), self._io.batches))
        return [{self._io.input.name: part} for part in np.split(feed, ends[:-1])]

    def run(self, feed: Any) -> Any:
        """One prediction a call."""
        return [self._model.predict(one) for one in feed]

    def decode(self, outputs: Any) -> Floats:
        """The calls' arrays to float32 (N, classes), in label order."""
        return np.concatenate([np.asarray(one[self._io.output.name], np.float32) for one in outputs])


def _load(units: str, artifact: Loadable) -> Any:
    """The package, compiled and loaded by Core ML."""
    from edgefer.runtimes.mil.contract import refuse_other
    from edgefer.runtimes.mil.package import describe

    if missing := _missing():
        raise TargetUnavailableError(f"{artifact.path}: {missing}")
    refuse_other(artifact, describe(artifact.path))
    import coremltools as ct

    model = ct.models.MLModel(str(artifact.path), compute_units=ct.ComputeUnit[units])
    try:
        # coremltools keeps what Core ML said against a package to itself until it is used.
        model.get_compiled_model_path()
    except Exception as error:  # it raises nothing more precise
        reason = getattr(model, "_framework_error", None) or error
        raise InputError(f"{artifact.path}: Core ML does not load the package ({reason})") from error
    return model


def _explain(units: str, artifact: Loadable) -> dict[str, Any]:
    """The compute plan, or why there is none (Core ML tells it from macOS 14.4 on)."""
    import coremltools as ct
    from coremltools.models.compute_plan import MLComputePlan

    model = _load(units, artifact)
    try:
        plan = MLComputePlan.load_from_path(
            path=model.get_compiled_model_path(), compute_units=ct.ComputeUnit[units]
        )
    except Exception as error:  # it raises nothing more precise
        return {"no_compute_plan": str(error).strip().partition("\n")[0] or type(error).__name__}
    return {"compute_plan": describe_plan(plan)}


def describe_plan(plan: Any) -> dict[str, Any]:
    """A ``coremltools.models.compute_plan.MLComputePlan`` of an ML Program as plain values.

    ``operations``: name, operator, device that Core ML prefers (``on``), devices that could run it (``could``) and
    share of the estimated cost (0..1, None if not told), in the program's order, without constants. ``on``: number of
    operations and summed cost by device.
    """
    program = plan.model_structure.program
    if program is None:
        return {"operations": [], "on": {}}
    operations = [
        described for op in program.functions[MAIN].block.operations if (described := _describe(plan, op))
    ]
    devices = dict.fromkeys(each["on"] for each in operations)
    return {"operations": operations, "on": {device: _sum(operations, device) for device in devices}}


def _describe(plan: Any, operation: Any) -> dict[str, Any] | None:
    """One operation; None if it runs nowhere, as a constant does."""
    usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
    if usage is None:
        return None
    cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
    return {
        "name": operation.outputs[0].name if operation.outputs else "",
        "operator": operation.operator_name,
        "on": _name(usage.preferred_compute_device),
        "could": sorted(map(_name, usage.supported_compute_devices)),
        "cost": cost.weight if cost is not None else None,
    }


def _sum(operations: Iterable[dict[str, Any]], device: str) -> dict[str, Any]:
    there = [each for each in operations if each["on"] == device]
    return {"operations": len(there), "cost": round(sum(each["cost"] or 0.0 for each in there), 4)}


def _name(device: Any) -> str:
    kind = type(device).__name__
    return DEVICES.get(kind, kind)


def _runtime(name: str, units: str) -> Runtime:
    return Runtime(
        name,
        "coreml",
        _missing,
        partial(open_session, units),
        packages=("coremltools",),
        explain=partial(_explain, units),
        any_batch=True,
        own_threads=True,
    )


RUNTIMES = (
    _runtime("coreml", "ALL"),
    _runtime("coreml-cpu-ne", "CPU_AND_NE"),
    _runtime("coreml-cpu-gpu", "CPU_AND_GPU"),
    _runtime("coreml-cpu", "CPU_ONLY"),
)
