"""``edgefer data clean``: S2's relabelling by pseudo-labels."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgefer.cli import console
from edgefer.cli.models import Said, image_shape, open_model_of
from edgefer.cli.options import OutPath, data_options, model_options
from edgefer.cli.recipe_data import data_part, load_part, recipe_options

if TYPE_CHECKING:
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.base import Dataset
    from edgefer.datasets.relabelling import Cleaning
    from edgefer.preprocessing import Floats

_ROWS_AT_ONCE = 2048


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@data_options
@model_options
@recipe_options
@click.option(
    "--threshold",
    type=click.FloatRange(0.5, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="Relabel where the model gives another class at least this probability.",
)
@click.option(
    "--out",
    type=OutPath(dir_okay=False),
    default=Path("relabel.csv"),
    show_default=True,
    help="CSV file for the changes; data.relabel of a recipe applies it.",
)
@console.json_option
def clean(
    model: Path,
    recipe: str | None,
    settings: tuple[str, ...],
    threshold: float,
    out: Path,
    as_json: bool,
    **said: Any,
) -> None:
    """Find training rows that MODEL is sure are of another class than their label, and write them down.

    MODEL must not have been trained on these rows: a network that was has memorised their labels, wrong ones
    included, and hardly ever contradicts them. Nothing but the CSV file is written; look at it before you train
    on it.
    """
    from edgefer.datasets.relabelling import clean as find
    from edgefer.datasets.relabelling import write_changes
    from edgefer.recipe import DataPart

    stated = Said(**said)
    part = data_part(recipe, settings, stated.labels)
    backbone = open_model_of(part, model, stated)
    part = part or DataPart(labels=stated.labels or backbone.labels.source)
    # A CSV of changes starts from the labels in the files, whatever an earlier one made of them.
    part = msgspec.structs.replace(part, relabel="")
    dataset = load_part(stated.data, part, recipe, settings, **image_shape(backbone))
    dataset.require_classes(backbone.labels.names, str(model))
    found = find(dataset, _answers(backbone, dataset), threshold)
    write_changes(out, found.changes)
    if as_json:
        console.print_json({**_facts(found), "threshold": threshold, "out": str(out)})
    else:
        _print_cleaning(found, out)


def _answers(backbone: Backbone, dataset: Dataset) -> Floats:
    """Probabilities (N, K) of the training rows."""
    import numpy as np

    from edgefer.backbones.evaluation import probabilities

    pixels = dataset.split("train").pixels
    parts = []
    with console.progress("asking the model") as advance:
        for start in range(0, len(pixels), _ROWS_AT_ONCE):
            parts.append(probabilities(backbone, pixels[start : start + _ROWS_AT_ONCE]))
            advance(start, len(pixels))
    return np.concatenate(parts)


def _facts(found: Cleaning) -> dict[str, Any]:
    """All but the single changes, which stand in the file."""
    return {"data": found.data, "rows": found.rows, "changed": found.changed, "pairs": found.pairs}


def _print_cleaning(found: Cleaning, out: Path) -> None:
    rows = [(pair.old, pair.new, f"{pair.rows:,}") for pair in found.pairs]
    console.print_table(f"{found.data}: doubtful training labels", ("label", "the model says", "rows"), rows)
    click.echo(f"{found.changed:,} of {found.rows:,} training rows ({found.changed / found.rows:.1%}) change")
    setting = shlex.quote(f"data.relabel={json.dumps(str(out))}")
    click.echo(f"written {out}; train with it: edgefer train RECIPE --set {setting}")
