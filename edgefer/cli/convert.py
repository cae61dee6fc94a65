"""``edgefer convert``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.files_made import print_files
from edgefer.cli.models import Said, open_model
from edgefer.cli.options import OutPath, batch_sizes, data_options, model_options, seed_option
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.formats.base import Format
    from edgefer.mixing import AccuracyBudget


# Core ML's limit of shapes that an input may list. Source: coremltools' guide, "Flexible Input Shapes".
MOST_BATCHES = 128
AUTO = "auto"


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
    type=OutPath(file_okay=False),
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
    "--calibration",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Calibration images, drawn class-balanced.",
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
    help="Layers that int8 files leave in float; * and ? match parts of names. 'edgefer sensitivity' ranks them. The "
    "word auto keeps the worst 0, 1, 2, 4, … of them, as few as bring a file within --max-drop.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="With --keep-float auto: the most weighted F1 that a file may lose against MODEL on the validation rows, in "
    "points.  [default: 0.5]",
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
    max_drop: float | None,
    seed: int,
    golden: str,
    as_json: bool,
    **said: Any,
) -> int:
    """Convert MODEL (.keras, .h5 or a SavedModel folder) into artifacts that carry their own contract.

    Every file is compared with the backbone before it is written. Exit code 3 if one could not be proven.
    """
    from dataclasses import replace

    from edgefer.evidence import drawn_faces
    from edgefer.pipeline import Options, choose_formats, convert

    chosen = choose_formats(formats)
    layers = _float_layers(keep_float, max_drop)
    sizes = _listed_batches(batches, chosen)
    backbone, dataset = open_model(model, Said(**said))
    if dataset is None:
        console.note("no data given: golden images are synthetic faces, the artifacts carry no F1 baseline")
    if name:
        backbone = replace(backbone, name=name)
    options = Options(mode, io_dtype, calibration, seed, calibration_method, layers, sizes)  # type: ignore[arg-type]  # click.Choice checked them
    source = dataset if dataset is not None and golden == "data" else drawn_faces(backbone)
    with console.progress("convert") as advance:
        outcomes = convert(backbone, chosen, dataset, source, out, options, advance)
    files = [outcome.record for outcome in outcomes]
    if as_json:
        console.print_json(files)
    else:
        print_files(files)
    return 0 if all(file.good for file in files) else 3


def _float_layers(text: str, max_drop: float | None) -> tuple[str, ...] | AccuracyBudget:
    """Patterns of layer names, or the word that has them chosen within ``max_drop`` points."""
    from edgefer.mixing import AccuracyBudget

    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if AUTO not in words:
        if max_drop is not None:
            raise click.UsageError("--max-drop bounds what --keep-float auto chooses: give that too")
        return words
    if words != (AUTO,):
        raise click.UsageError(
            f"--keep-float {text}: auto chooses all layers itself, without others beside it"
        )
    return AccuracyBudget() if max_drop is None else AccuracyBudget(max_drop)


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
