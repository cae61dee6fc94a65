"""``edgefer convert``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.models import Said, golden_faces, open_model
from edgefer.cli.options import OutPath, batch_sizes, data_options, model_options, seed_option
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.formats.base import Format
    from edgefer.pipeline import Outcome


# Core ML's limit of shapes that an input may list. Source: coremltools' guide, "Flexible Input Shapes".
MOST_BATCHES = 128


@click.command(name="convert")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "formats",
    required=True,
    metavar="FORMAT[,FORMAT…]",
    help="<container>-<precision>, e.g. tflite-int8,onnx-fp32, or all.",
)
@data_options
@model_options
@click.option(
    "--out",
    type=OutPath(),
    default=Path("artifacts"),
    show_default=True,
    help="Folder for the artifacts.",
)
@click.option("--name", help="Name of the artifacts; the model file's own by default.")
@click.option(
    "--input",
    "mode",
    type=click.Choice(["raw", "float"]),
    default="raw",
    show_default=True,
    help="raw: the file takes uint8 pixels; float: the backbone's own floats.",
)
@click.option(
    "--io",
    "io_dtype",
    type=click.Choice(["uint8", "int8"]),
    default="uint8",
    show_default=True,
    help="Integer type at the ends of tflite-int8 files.",
)
@click.option(
    "--batch",
    "batches",
    metavar="N[,N...]",
    callback=batch_sizes,
    help="Core ML files that take arrays of so many images in one call, 1 always among these sizes.  [default: "
    "classifiers of one image]",
)
@click.option(
    "--calibration", default=200, show_default=True, help="Calibration images, drawn class-balanced."
)
@click.option(
    "--calibration-method",
    type=click.Choice(["minmax", "percentile", "mse", "entropy", "best"]),
    default="minmax",
    show_default=True,
    help="How int8 activation ranges are set: all that was seen, or outliers cut off by one of three rules. best "
    "tries every rule and keeps the file whose answers to validation rows are closest to MODEL's. tflite-int16x8 has "
    "its converter's own ranges.",
)
@click.option(
    "--keep-float",
    metavar="LAYER[,LAYER…]",
    default="",
    help="Layers that int8 files leave in float; * and ? match parts of names. 'edgefer sensitivity' ranks them.",
)
@seed_option("Seed of the calibration sample.")
@click.option(
    "--golden",
    type=click.Choice(["data", "synthetic"]),
    default="data",
    show_default=True,
    help="Golden images that the files carry: faces of your validation rows, or drawn ones that anybody may have.",
)
@console.json_option
def command(
    model: Path,
    formats: str,
    out: Path,
    name: str | None,
    mode: str,
    io_dtype: str,
    batches: tuple[int, ...] | None,
    calibration: int,
    calibration_method: str,
    keep_float: str,
    seed: int,
    golden: str,
    as_json: bool,
    **said: Any,
) -> int:
    """Convert MODEL (.keras, .h5 or a SavedModel folder) into artifacts that carry their own contract.

    Every file is compared with the backbone before it is written. Exit code 3 if one could not be proven.
    """
    from dataclasses import replace

    from edgefer.pipeline import Options, choose_formats, convert

    chosen = choose_formats(formats)
    sizes = _listed_batches(batches, chosen)
    backbone, dataset = open_model(model, Said(**said))
    if dataset is None:
        console.note("no data given: golden images are synthetic faces, the artifacts carry no F1 baseline")
    if name:
        backbone = replace(backbone, name=name)
    layers = tuple(part.strip() for part in keep_float.split(",") if part.strip())
    options = Options(mode, io_dtype, calibration, seed, calibration_method, layers, sizes)  # type: ignore[arg-type]  # click.Choice checked them
    source = dataset if dataset is not None and golden == "data" else golden_faces(backbone)
    with console.progress("convert") as advance:
        outcomes = convert(backbone, chosen, dataset, source, out, options, advance)
    _show(outcomes, as_json)
    return 0 if all(outcome.good for outcome in outcomes) else 3


def _listed_batches(batches: tuple[int, ...] | None, formats: Sequence[Format]) -> tuple[int, ...]:
    """The batch sizes that Core ML files are to list, ascending; none unless some were asked for."""
    if not batches:
        return ()
    if not any(form.container == "coreml" for form in formats):
        raise InputError(
            "--batch is for Core ML files, and --to names none",
            hint="leave it out; TFLite and ONNX files take any number of images",
        )
    sizes = tuple(sorted({1, *batches}))
    if not 1 < len(sizes) <= MOST_BATCHES:
        raise InputError(
            f"--batch names {len(sizes) - 1} sizes beside 1; a Core ML file lists 1 to {MOST_BATCHES - 1} of them",
            hint="for one image a call, leave it out",
        )
    return sizes


def _show(outcomes: list[Outcome], as_json: bool) -> None:
    if as_json:
        console.print_json([_plain(outcome) for outcome in outcomes])
        return
    rows = []
    for o in outcomes:
        proof = o.verification
        rows.append(
            (
                o.format,
                o.path or "not written",
                f"{o.bytes / 1000:,.0f}" if o.path else "",
                "" if proof is None or proof.max_abs is None else f"{proof.max_abs:.2g}",
                "error" if o.error else proof.status if proof else "",
                f"{o.seconds:.1f}",
            )
        )
    console.print_table("Artifacts", ("format", "file", "kB", "max error", "verified", "seconds"), rows)
    for o in outcomes:
        if o.error:
            console.fail(f"{o.format}: {o.error}")
        elif o.verification and o.verification.status != "passed":
            console.note(f"{o.format}: {o.verification.status}: {o.verification.reason}")
    console.note_executed_on([o.verification for o in outcomes if o.verification])


def _plain(outcome: Outcome) -> dict[str, object]:
    return {
        "format": outcome.format,
        "path": str(outcome.path) if outcome.path else None,
        "bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 3),
        "verification": outcome.verification,
        "error": str(outcome.error) if outcome.error else None,
    }
