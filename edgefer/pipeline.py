"""The steps of the main job in order: backbone → baseline and golden tensors → export → formats → artifacts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from edgefer.agreement import lacks_proof
from edgefer.artifact import Artifact, IOMode
from edgefer.backbones.base import Backbone
from edgefer.backbones.merging import converted_cost
from edgefer.calibrating import Wanted, judge_of
from edgefer.datasets.base import Dataset
from edgefer.errors import EdgeferError, InputError, MissingExtraError, VerificationError
from edgefer.evidence import check_range, golden_of, measure_baseline
from edgefer.files import replace, workspace
from edgefer.formats.base import FLOAT_OPERATIONS, Calibration, Format, IODtype
from edgefer.formats.export import check_export, export_backbone
from edgefer.formats.keeping import float_layers
from edgefer.interrupts import stop_if_seen
from edgefer.making import Job, installed, made
from edgefer.metrics import rows_sha256
from edgefer.mixing import AccuracyBudget, Mixed, Mixer, layered, mixer_of
from edgefer.preprocessing import match_channels
from edgefer.registry import discover, lookup
from edgefer.sampling import balanced_rows
from edgefer.spec import Frozen
from edgefer.verification import Verification, verify_artifact

Advance = Callable[[float, float, str], None]

# The one format whose ends are integers of a type that can be chosen.
_INTEGER_ENDS = "tflite-int8"


@dataclass(frozen=True)
class Options:
    """How to convert. ``calibration`` rows are drawn from the training split with ``seed``.

    ``method`` sets activation ranges of int8 formats, "best" being the one whose file is closest to the backbone on
    validation rows; ``keep_float`` are patterns of layer names that int8 formats leave in float, or what int8 may cost:
    then each file gets as few float layers as it needs. With ``batches`` (ascending, 1 among them) Core ML files take
    arrays of so many images, instead of being classifiers of one. ``trust_range`` takes the stated input range for
    right, instead of holding it against labelled rows.
    """

    mode: IOMode = "raw"
    io_dtype: IODtype = "uint8"
    calibration: int = 200
    seed: int = 0
    method: Wanted = "minmax"
    keep_float: tuple[str, ...] | AccuracyBudget = ()
    batches: tuple[int, ...] = ()
    trust_range: bool = False


class FileRecord(Frozen, frozen=True):
    """An ``Outcome`` as it is written down: the file (None if it was not kept) with its hash, and proof or error.

    ``keep_float`` says how the layers that stay in float were chosen, None where nothing was to be chosen; ``note``
    what else there is to know of the file.
    """

    format: str
    path: str | None
    bytes: int
    seconds: float
    verification: Verification | None
    error: str | None
    keep_float: Mixed | None = None
    sha256: str = ""
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether the file exists and no check failed."""
        return self.error is None and self.verification is not None and self.verification.status != "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one format: the file (None if it was not kept), and the proof or the error."""

    format: str
    path: Path | None
    bytes: int
    seconds: float
    verification: Verification | None
    error: EdgeferError | None = None
    mixed: Mixed | None = None
    sha256: str = ""
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether the file exists and no check failed."""
        return self.record.good

    @property
    def record(self) -> FileRecord:
        """The same without objects."""
        return FileRecord(
            format=self.format,
            path=str(self.path) if self.path else None,
            bytes=self.bytes,
            seconds=round(self.seconds, 3),
            verification=self.verification,
            error=str(self.error) if self.error else None,
            keep_float=self.mixed,
            sha256=self.sha256,
            note=self.note,
        )


def known_formats() -> dict[str, Format]:
    """All formats by id."""
    return discover("edgefer.formats", "FORMATS")


def choose_formats(names: str) -> list[Format]:
    """Read ``tflite-int8,onnx-fp32`` (or ``all``, as ``formats_named`` does).

    Raises:
        InputError: an unknown name, with a suggestion.
        MissingExtraError: the converter is not installed.
    """
    chosen = formats_named([name.strip() for name in names.split(",") if name.strip()])
    require_converters(chosen)
    return chosen


def formats_named(names: Sequence[str]) -> list[Format]:
    """Each format once; ``all`` alone names every one that suits any network.

    Raises:
        InputError: no name, or an unknown one, with a suggestion.
    """
    formats = known_formats()
    if not names:
        raise InputError("no format given", hint=f"choose from: {', '.join(formats)}, or all")
    general = [name for name, form in formats.items() if not form.special]
    wanted = general if list(names) == ["all"] else names
    return [lookup("format", name, formats) for name in dict.fromkeys(wanted)]


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

    Where both are to be found out, each file's calibration method is chosen first, with no layer in float, and then,
    under that method, the float layers.

    Raises:
        InputError: no data where a format needs calibration; no validation rows to choose a calibration method or float
            layers by; float layers, a calibration method or an integer type where no format can have any; a wrong
            input range.
        ConversionError: the export does not do what the backbone does.
    """
    require_adjustable(formats, options)
    require_integer_ends(formats, options)
    mixer = _mixer(backbone, dataset, options, advance)
    calibration = _calibration(backbone, formats, dataset, options)
    chosen = options.method == "best" and any(form.adjustable for form in formats)
    judge = judge_of(backbone, dataset, options.seed) if dataset and chosen else None
    steps = len(formats) + 2
    advance(0, steps, "float baseline")
    if dataset and not options.trust_range:
        check_range(backbone, dataset)
    baseline = measure_baseline(backbone, dataset) if dataset else None
    golden, info = golden_of(backbone, golden_source)
    cost = converted_cost(backbone.model) if backbone.trainable else None
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="edgefer-") as scratch:
        advance(1, steps, "export")
        export = export_backbone(backbone, options.mode, Path(scratch), options.batches)
        check_export(export, golden.inputs, golden.outputs)
        job = Job(backbone, export, calibration, judge, mixer, golden, info, baseline, cost, options.io_dtype)
        for number, form in enumerate(formats):
            stop_if_seen()
            outcomes.append(_make(job, form, out, partial(advance, 2 + number, steps)))
    advance(steps, steps, "done")
    return outcomes


def _make(job: Job, form: Format, out: Path, tell: Callable[[str], None]) -> Outcome:
    """Convert, embed, verify; move into place, with the format's README if it has one, unless the outputs are wrong."""
    tell(form.id)
    began = time.perf_counter()
    path = out / f"{job.backbone.name}-{form.precision}{form.suffix}"
    verification: Verification | None = None
    try:
        with workspace(path) as work:
            artifact, mixed = made(job, form, work / path.name, tell)
            verification = msgspec.structs.replace(_proof(artifact), artifact=str(path))
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
    seconds = time.perf_counter() - began
    return Outcome(
        form.id, path, artifact.bytes, seconds, verification, None, mixed, artifact.sha256, _note(artifact)
    )


def _note(artifact: Artifact) -> str:
    """What is to be known of a file that does what its backbone does."""
    left = artifact.manifest.lineage[-1].config.get(FLOAT_OPERATIONS)
    if not left:
        return ""
    return (
        f"the converter left operations in float: {', '.join(left)}. Processors without float units cannot run them; "
        "for these, build that part from layers with integer kernels, BatchNormalization for instance"
    )


def _proof(artifact: Artifact) -> Verification:
    """Verify a new file. One that computes something else is not kept; one that lacks proof is, and is said to."""
    verification = verify_artifact(artifact)
    if verification.status != "failed" or lacks_proof(artifact.golden):
        return verification
    if verification.max_abs is None:
        raise VerificationError(f"not written: {verification.reason}", hint="please report this network")
    raise VerificationError(
        f"not written: {verification.reason} (golden images: mean error "
        f"{verification.row_mean:.2g}, largest {verification.max_abs:.2g}, "
        f"top-1 {verification.top1_agreement:.0%})",
        hint="this precision does not suit this network; try another format",
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
    plain = Calibration(pixels, config)
    if isinstance(options.keep_float, tuple) and options.keep_float:
        keep = float_layers(layered(backbone).model, options.keep_float)
        plain = plain.keeping(keep, {"keep_float": list(keep)})
    return plain if options.method == "best" else plain.by(options.method)


def _mixer(
    backbone: Backbone,
    dataset: Dataset | None,
    options: Options,
    advance: Advance,
) -> Mixer | None:
    """What chooses float layers, None where they are named or there are none."""
    if not isinstance(options.keep_float, AccuracyBudget):
        return None
    if dataset is None:
        raise InputError("float layers are chosen on labelled faces", hint="give --data (and --labels)")
    return mixer_of(backbone, dataset, options.keep_float, options.calibration, options.seed, advance)


def require_adjustable(formats: Sequence[Format], options: Options) -> None:
    """Refuse float layers and a calibration method for files of which none can have any.

    Raises:
        InputError: it is so.
    """
    asked = options.keep_float or options.method != "minmax"
    # Of all methods, one: a converter's own ranges are the best it has.
    settled = options.method == "best" and not options.keep_float
    taking = [form for form in formats if form.adjustable or (settled and form.needs_calibration)]
    if asked and not taking:
        able = [form.id for form in known_formats().values() if form.adjustable]
        raise InputError(
            f"none of the formats takes a calibration method or float layers; {', '.join(able)} do",
            hint="add one of these, or leave out the method and the layers",
        )


def require_integer_ends(formats: Sequence[Format], options: Options) -> None:
    """Refuse another integer type at the ends of files of which none has a choice.

    Raises:
        InputError: it is so.
    """
    if options.io_dtype != "uint8" and not any(form.id == _INTEGER_ENDS for form in formats):
        raise InputError(
            f"none of the formats takes {options.io_dtype} at its ends; {_INTEGER_ENDS} does",
            hint="add it, or leave out the type",
        )


def require_converters(formats: Sequence[Format]) -> None:
    """Refuse formats that cannot be made here.

    Raises:
        MissingExtraError: a converter is not installed.
    """
    needed = {"tflite": "tensorflow", "onnx": "tf2onnx", "coreml": "coremltools"}
    for form in formats:
        for package in ("keras", needed[form.container]):
            if not installed(package):
                raise MissingExtraError(f"{package}, which {form.id} is made with,", form.extra)
