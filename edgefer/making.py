"""One file of one format: converted and given its contract; where there is a choice, the best of several files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from edgefer.artifact import Artifact, Baseline, GoldenInfo, Manifest, write_artifact
from edgefer.backbones.base import Backbone
from edgefer.calibrating import METHODS, Judge
from edgefer.contract import MANIFEST_SCHEMA, Golden
from edgefer.embedding import payload_sha256
from edgefer.errors import ConversionError
from edgefer.formats.base import Calibration, Converted, Export, Format, IODtype
from edgefer.mixing import Mixed, Mixer, Trial
from edgefer.spec import Cost, Step

Tell = Callable[[str], None]

# What a reader of an artifact may need to know to reproduce it.
_TOOLS = (
    "edgefer",
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "coremltools",
    "ai-edge-litert",
    "numpy",
)


@dataclass(frozen=True)
class Job:
    """What all formats of one call share. ``judge`` and ``mixer`` are there where something is left to choose."""

    backbone: Backbone
    export: Export
    calibration: Calibration | None
    judge: Judge | None
    mixer: Mixer | None
    golden: Golden
    info: GoldenInfo
    baseline: Baseline | None
    cost: Cost | None
    io_dtype: IODtype


class Made(NamedTuple):
    """A finished file, and how its float layers were chosen, if they were."""

    artifact: Artifact
    mixed: Mixed | None = None


def made(job: Job, form: Format, path: Path, tell: Tell) -> Made:
    """Make the file; candidates stand in folders beside ``path``.

    The calibration method is chosen first; where float layers are to be chosen too, by files that have none yet.

    Raises:
        ConversionError: a converter refuses the network.
        VerificationError: no file is within the accuracy budget.
    """
    calibration = job.calibration if form.needs_calibration else None
    if calibration is None or not form.adjustable:
        return Made(_written(job, form, calibration, path))
    if job.judge:
        calibration = _closest(job, job.judge, form, calibration, path, tell)
    if job.mixer:
        return _fewest(job, job.mixer, form, calibration, path, tell)
    return Made(_written(job, form, calibration, path))


def _closest(
    job: Job, judge: Judge, form: Format, calibration: Calibration, path: Path, tell: Tell
) -> Calibration:
    """The calibration method whose file is closest to the backbone.

    Raises:
        ConversionError: under each, the file answers NaN.
    """
    errors = {}
    for method in METHODS:
        tell(f"{form.id}: {method} calibration")
        (folder := path.with_name(method)).mkdir()
        candidate = _written(job, form, calibration.by(method), folder / path.name)
        errors[method] = round(judge.error(candidate), 6)
    usable = [method for method in METHODS if math.isfinite(errors[method])]
    if not usable:
        raise ConversionError(
            "no calibration method gives a file that answers with numbers",
            hint="this precision does not suit this network; try another format",
        )
    closest = min(usable, key=errors.__getitem__)
    tell(f"{form.id}: {closest} calibration, the closest")
    told = {"chosen_on": f"{len(judge.pixels)} validation rows", "divergence_nats": errors}
    return calibration.by(closest, told)


def _fewest(job: Job, mixer: Mixer, form: Format, calibration: Calibration, path: Path, tell: Tell) -> Made:
    """The file with the fewest layers in float, of those tried, that is within the budget."""
    tried: list[Trial] = []
    (folder := path.with_name("mixed")).mkdir()
    for layers in mixer.attempts():
        tell(f"{form.id}: {len(layers)} in float")
        mixture = calibration.keeping(mixer.names(layers), {"keep_float": list(layers)})
        converted = _converted(job, form, mixture)
        candidate = _embedded(job, form, converted, mixture, folder / path.name)
        tried.append(mixer.trial(layers, candidate))
        if mixer.suffices(tried[-1]):
            mixed = mixer.mixed(layers, tried)
            told = mixture.keeping(mixture.keep_float, mixed.told)
            return Made(_embedded(job, form, converted, told, path), mixed)
    raise mixer.refusal(tried)


def _written(job: Job, form: Format, calibration: Calibration | None, path: Path) -> Artifact:
    return _embedded(job, form, _converted(job, form, calibration), calibration, path)


class _Timed(NamedTuple):
    """What a converter made, and the seconds it took."""

    converted: Converted
    seconds: float


def _converted(job: Job, form: Format, calibration: Calibration | None) -> _Timed:
    began = time.perf_counter()
    return _Timed(form.export(job.export, calibration, job.io_dtype), time.perf_counter() - began)


def _embedded(job: Job, form: Format, made: _Timed, calibration: Calibration | None, path: Path) -> Artifact:
    manifest = _manifest(job, form, made, calibration)
    return write_artifact(path, made.converted.payload, manifest, job.golden)


def _manifest(job: Job, form: Format, made: _Timed, calibration: Calibration | None) -> Manifest:
    converted = made.converted
    config = {
        "format": form.id,
        "input": job.export.mode,
        "folded": job.export.folded,
        "calibration": dict(calibration.config) if calibration else None,
        **converted.config,
    }
    return Manifest(
        schema=MANIFEST_SCHEMA,
        format=form.id,
        name=job.backbone.name,
        payload_sha256=payload_sha256(form.container, converted.payload),
        backbone_sha256=job.backbone.sha256,
        input=job.backbone.input,
        io=converted.io,
        labels=job.backbone.labels,
        lineage=(*job.backbone.lineage, Step(name="convert", config=config, seconds=round(made.seconds, 2))),
        golden=job.info,
        tools=_tool_versions(),
        baseline=job.baseline,
        cost=job.cost,
    )


def installed(package: str) -> str:
    """Version of an installed package, or of its variant for processors alone; "" if there is none."""
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _tool_versions() -> dict[str, str]:
    return {name: found for name in _TOOLS if (found := installed(name))}
