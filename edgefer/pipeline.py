"""The steps of the main job in order: backbone → baseline and golden tensors → export → formats → artifacts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgefer.artifact import (
    MANIFEST_SCHEMA,
    Artifact,
    Baseline,
    GoldenInfo,
    IOMode,
    Manifest,
    write_artifact,
)
from edgefer.backbones.base import Backbone
from edgefer.backbones.merging import converted_cost
from edgefer.calibrating import METHODS, Judge, Wanted, judge_of
from edgefer.contract import Golden
from edgefer.datasets.base import Dataset
from edgefer.embedding import payload_sha256
from edgefer.errors import EdgeferError, InputError, MissingExtraError, VerificationError
from edgefer.evidence import golden_of, measure_baseline
from edgefer.files import replace, workspace
from edgefer.formats.base import Calibration, Converted, Export, Format, IODtype
from edgefer.formats.export import check_export, export_backbone
from edgefer.formats.keeping import float_layers
from edgefer.interrupts import stop_if_seen
from edgefer.metrics import rows_sha256
from edgefer.preprocessing import match_channels
from edgefer.registry import discover, lookup
from edgefer.sampling import balanced_rows
from edgefer.spec import Cost, Step
from edgefer.verification import Verification, verify_artifact

Advance = Callable[[float, float, str], None]

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
class Options:
    """How to convert. ``calibration`` rows are drawn from the training split with ``seed``.

    ``method`` sets activation ranges of int8 formats, "best" being the one whose file is closest to the backbone on
    validation rows; ``keep_float`` are patterns of layer names that int8 formats leave in float. With ``batches``
    (ascending, 1 among them) Core ML files take arrays of so many images, instead of being classifiers of one.
    """

    mode: IOMode = "raw"
    io_dtype: IODtype = "uint8"
    calibration: int = 200
    seed: int = 0
    method: Wanted = "minmax"
    keep_float: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of one format: the file (None if it was not kept), and the proof or the error."""

    format: str
    path: Path | None
    bytes: int
    seconds: float
    verification: Verification | None
    error: EdgeferError | None = None

    @property
    def good(self) -> bool:
        """Whether the file exists and no check failed."""
        return self.error is None and self.verification is not None and self.verification.status != "failed"


def choose_formats(names: str) -> list[Format]:
    """Read ``tflite-int8,onnx-fp32`` (or ``all``, which leaves special ones out).

    Raises:
        InputError: an unknown name, with a suggestion.
        MissingExtraError: the converter is not installed.
    """
    formats: dict[str, Format] = discover("edgefer.formats", "FORMATS")
    general = [name for name, form in formats.items() if not form.special]
    wanted = general if names == "all" else [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise InputError("no format given", hint=f"choose from: {', '.join(formats)}, or all")
    chosen = [lookup("format", name, formats) for name in dict.fromkeys(wanted)]
    _require_converters(chosen)
    return chosen


def convert(
    backbone: Backbone,
    formats: Sequence[Format],
    dataset: Dataset | None,
    golden_source: Dataset,
    out: Path,
    options: Options,
    advance: Advance,
) -> list[Outcome]:
    """Make one artifact a format from one shared export, each verified before it takes its place in ``out``.

    A format that fails leaves no file and does not keep the others from being made. ``golden_source`` gives the
    golden images (``dataset`` itself, or the synthetic faces where there is none).

    Raises:
        InputError: no data where a format needs calibration; no validation rows to choose a calibration method by; a
            wrong input range.
        ConversionError: the export does not do what the backbone does.
    """
    calibration = _calibration(backbone, formats, dataset, options)
    judge = judge_of(backbone, dataset, options.seed) if dataset and options.method == "best" else None
    steps = len(formats) + 2
    advance(0, steps, "float baseline")
    baseline = measure_baseline(backbone, dataset) if dataset else None
    golden, info = golden_of(backbone, golden_source)
    cost = converted_cost(backbone.model) if backbone.trainable else None
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="edgefer-") as scratch:
        advance(1, steps, "export")
        export = export_backbone(backbone, options.mode, Path(scratch), options.batches)
        check_export(export, golden.inputs, golden.outputs)
        job = _Job(backbone, export, calibration, judge, golden, info, baseline, cost, options, out)
        for number, form in enumerate(formats):
            stop_if_seen()
            outcomes.append(_make(job, form, partial(advance, 2 + number, steps)))
    advance(steps, steps, "done")
    return outcomes


@dataclass(frozen=True)
class _Job:
    """What all formats of one call share."""

    backbone: Backbone
    export: Export
    calibration: Calibration | None
    judge: Judge | None
    golden: Golden
    info: GoldenInfo
    baseline: Baseline | None
    cost: Cost | None
    options: Options
    out: Path


def _make(job: _Job, form: Format, tell: Callable[[str], None]) -> Outcome:
    """Convert, embed, verify; move into place, with the format's README if it has one, unless the outputs are wrong."""
    tell(form.id)
    began = time.perf_counter()
    path = job.out / f"{job.backbone.name}-{form.precision}{form.suffix}"
    verification: Verification | None = None
    try:
        with workspace(path) as work:
            artifact = _written(job, form, work / path.name, tell)
            verification = _proof(artifact)
            beside = work / "README.md"
            beside.write_text(form.guide(artifact), encoding="utf-8")
            replace(work / path.name, path)
            if beside.stat().st_size:
                replace(beside, path.with_name(f"{path.name}.README.md"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error})",
            hint="free some space or give another --out",
        ) from error
    except EdgeferError as error:
        stop_if_seen()
        return Outcome(form.id, None, 0, time.perf_counter() - began, verification, error)
    return Outcome(form.id, path, artifact.bytes, time.perf_counter() - began, verification)


def _written(job: _Job, form: Format, path: Path, tell: Callable[[str], None]) -> Artifact:
    """Convert and embed; with a judge, by every calibration method, and the closest file is the one."""
    calibration = job.calibration if form.needs_calibration else None
    if calibration is None or job.judge is None or form.own_ranges:
        return _exported(job, form, calibration, path)
    errors = {}
    for method in METHODS:
        tell(f"{form.id}: {method} calibration")
        (folder := path.with_name(method)).mkdir()
        made = _exported(job, form, calibration.by(method), folder / path.name)
        errors[method] = round(job.judge.error(made), 6)
    closest = min(METHODS, key=errors.__getitem__)
    tell(f"{form.id}: {closest} calibration, the closest")
    told = {"chosen_on": f"{len(job.judge.pixels)} validation rows", "divergence_nats": errors}
    return _exported(job, form, calibration.by(closest, told), path)


def _exported(job: _Job, form: Format, calibration: Calibration | None, path: Path) -> Artifact:
    began = time.perf_counter()
    converted = form.export(job.export, calibration, job.options.io_dtype)
    manifest = _manifest(job, form, converted, calibration, time.perf_counter() - began)
    return write_artifact(path, converted.payload, manifest, job.golden)


def _proof(artifact: Artifact) -> Verification:
    """Verify a new file. One that computes something else is not kept; one that lacks proof is, and is said to."""
    verification = verify_artifact(artifact)
    if verification.status == "failed" and verification.max_abs is not None:
        raise VerificationError(
            f"{artifact.format}: not written: {verification.reason} (golden images: mean error "
            f"{verification.row_mean:.2g}, largest {verification.max_abs:.2g}, "
            f"top-1 {verification.top1_agreement:.0%})",
            hint="this precision does not suit this network; try another format",
        )
    return verification


def _manifest(
    job: _Job, form: Format, converted: Converted, calibration: Calibration | None, seconds: float
) -> Manifest:
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
        lineage=(*job.backbone.lineage, Step(name="convert", config=config, seconds=round(seconds, 2))),
        golden=job.info,
        tools=_tool_versions(),
        baseline=job.baseline,
        cost=job.cost,
    )


def _calibration(
    backbone: Backbone, formats: Sequence[Format], dataset: Dataset | None, options: Options
) -> Calibration | None:
    needing = [form.id for form in formats if form.needs_calibration]
    if not needing:
        return None
    if dataset is None:
        raise InputError(f"{', '.join(needing)} needs calibration images", hint="give --data (and --labels)")
    train = dataset.split("train")
    rows = balanced_rows(train.labels, options.calibration, options.seed)
    pixels = match_channels(train.pixels[rows], backbone.input)
    config = {
        "data": dataset.name,
        "rows": len(rows),
        "seed": options.seed,
        "sampling": "class-balanced, training split",
        "sha256": rows_sha256(pixels, train.labels[rows]),
    }
    keep = _kept_float(backbone, options.keep_float)
    config |= {"keep_float": list(keep)} if keep else {}
    plain = Calibration(pixels, config, keep_float=keep)
    return plain if options.method == "best" else plain.by(options.method)


def _kept_float(backbone: Backbone, patterns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if patterns and not backbone.trainable:
        raise InputError(
            f"{backbone.name}: a SavedModel has no layers to keep in float",
            hint="convert the .keras or .h5 file, or leave out --keep-float",
        )
    return float_layers(backbone.model, patterns) if patterns else {}


def _require_converters(formats: Sequence[Format]) -> None:
    needed = {"tflite": "tensorflow", "onnx": "tf2onnx", "coreml": "coremltools"}
    for form in formats:
        for package in ("keras", needed[form.container]):
            if not _installed(package):
                raise MissingExtraError(f"{package}, which {form.id} is made with,", form.extra)


def _installed(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def _tool_versions() -> dict[str, str]:
    return {name: found for name in _TOOLS if (found := _installed(name))}
