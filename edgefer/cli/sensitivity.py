"""``edgefer sensitivity``."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.models import Said, open_model
from edgefer.cli.options import OutPath, data_options, model_options, seed_option

if TYPE_CHECKING:
    from edgefer.compression.sensitivity import Sensitivity

DRAWN = 30  # bars that a page holds


@click.command(name="sensitivity")
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@model_options
@click.option("--rows", default=512, show_default=True, help="Validation rows that are judged; 0 for all.")
@click.option(
    "--calibration", default=200, show_default=True, help="Calibration images, drawn class-balanced."
)
@seed_option("Seed of both samples.")
@click.option(
    "--plot", type=OutPath(dir_okay=False), metavar="FILE", help="Draw a bar chart as .svg, .png or .pdf."
)
@console.json_option
def command(
    model: Path, rows: int, calibration: int, seed: int, plot: Path | None, as_json: bool, **said: Any
) -> None:
    """Rank the layers of MODEL by what int8 does to them.

    One layer at a time, its weights and its output, is quantized in simulation; the answers on the validation split
    are compared with the float network's. The worst are candidates for 'edgefer convert --keep-float',
    which with 'auto' takes as many of them as a file needs.
    """
    from edgefer.compression.sensitivity import measured
    from edgefer.errors import InputError
    from edgefer.files import write_atomic

    if rows < 0 or calibration < 1:
        raise InputError("--rows must not be negative and --calibration must be at least 1")
    if plot:
        _check_drawable(plot)
    backbone, dataset = open_model(model, Said(**said))
    if dataset is None:
        raise InputError("sensitivity is measured on labelled faces", hint="give --data (and --labels)")
    with console.progress("sensitivity") as advance:
        found = measured(backbone, dataset, rows=rows, calibration=calibration, seed=seed, step=advance)
    if as_json:
        console.print_json(found)
    else:
        _show(found, backbone.name)
    if plot:
        write_atomic(plot, _drawn(found, backbone.name, plot.suffix))
        console.note(f"wrote {plot}")


def _check_drawable(plot: Path) -> None:
    """Refuse what could not be drawn before minutes are spent on it."""
    from edgefer.errors import InputError, MissingExtraError

    if plot.suffix not in (".svg", ".png", ".pdf"):
        raise InputError(
            f"{plot}: not a file type for plots", hint="give a name that ends in .svg, .png or .pdf"
        )
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib, which plots are drawn with,", "report")


def _show(found: list[Sensitivity], name: str) -> None:
    rows = [
        (
            one.layer,
            f"{one.weights:,}",
            f"{one.error:.2g}",
            f"{one.f1_drop:+.4f}",
            f"{one.changed:.1%}",
            "part" if one.part else "",
        )
        for one in found
    ]
    columns = ("layer", "weights", "error (KL, nats)", "F1 drop", "answers changed", "")
    console.print_table(f"{name}: int8 in simulation, one layer at a time", columns, rows)
    if any(one.part for one in found):
        console.note("parts of a layer stay in float with the whole: --keep-float takes that layer's name")


def _drawn(found: list[Sensitivity], name: str, suffix: str) -> bytes:
    """A bar chart as a file that ends in ``suffix``."""
    from matplotlib.figure import Figure

    shown = found[1 : DRAWN + 1]
    figure = Figure(figsize=(7, 1 + 0.22 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([one.layer for one in shown], [one.error for one in shown], color="#0072B2")
    axes.invert_yaxis()
    axes.tick_params(labelsize=7)
    axes.set_xlabel("mean Kullback-Leibler divergence from the float network (nats)")
    axes.set_title(f"{name}: layers that suffer most from int8", fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format=suffix[1:])
    return content.getvalue()
