"""``edgefer gate``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.gate_tables import show
from edgefer.cli.models import Said, open_model_alone, warn_of_trained_rows
from edgefer.cli.options import OutPath, data_options, model_options

if TYPE_CHECKING:
    from edgefer.gating.contender import Contender
    from edgefer.gating.rows import Read
    from edgefer.spec import LabelSet

SHARE = click.FloatRange(0, 1)


def _floors(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[tuple[str, float], ...]:
    """``0.3`` and ``fear=0.35`` to pairs of class ("" for every one) and F1."""
    pairs = []
    for value in values:
        name, _, number = value.rpartition("=")
        pairs.append((name, float(SHARE(number, parameter, context))))
    return tuple(pairs)


@click.command(name="gate")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "baseline",
    required=True,
    metavar="BASELINE",
    type=click.Path(path_type=Path),
    help="Another artifact, or the float backbone (.keras, .h5 or SavedModel folder).",
)
@data_options
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="Points of weighted F1 that may be lost.",
)
@click.option(
    "--class-floor",
    "floors",
    multiple=True,
    metavar="[CLASS=]F1",
    callback=_floors,
    help="Least F1 (0..1) of every class, or of the one named; repeatable, a named one goes before.",
)
@click.option(
    "--include-leaked", is_flag=True, help="Use test rows whose image also stands in the training split."
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    help="Draw this many rows, always the same: quick, and rarely enough.",
)
@click.option("--out", type=OutPath(dir_okay=False), help="Write the record to this JSON file.")
@model_options
@console.json_option
def command(
    artifact: Path,
    baseline: Path,
    max_drop: float,
    floors: tuple[tuple[str, float], ...],
    include_leaked: bool,
    rows: int | None,
    out: Path | None,
    as_json: bool,
    **said: Any,
) -> int:
    """Decide whether ARTIFACT (or a compressed backbone) may take the place of BASELINE: pass, fail or underpowered.

    Both answer the same test rows here. It passes if the 95 % interval of the weighted F1 drop (paired bootstrap) ends
    at or below --max-drop, and fails if it begins above. A class also fails it that was lost (fewer than half of the
    baseline's hits are left, and chance does not explain it) or is surely below its floor. Otherwise the gate is
    underpowered, and how many rows would tell is said. 'edgefer report' shows the record that --out writes.

    Exit code 0 for pass, 3 for fail and underpowered. --range, --color, --logits and --trust are about a foreign
    BASELINE.
    """
    from edgefer.datasets.loading import locate
    from edgefer.errors import InputError
    from edgefer.gating.gate import gate
    from edgefer.gating.record import Limits, save_gate
    from edgefer.gating.rows import Choice

    stated = Said(**said)
    locate(stated.data)
    mine, other = _contender(artifact, stated), _contender(baseline, stated)
    if mine.sha256 == other.sha256:
        raise InputError(f"{artifact} and {baseline} are the same file", hint="give what it is to replace")
    limits = Limits(max_drop=max_drop, floors=_named(floors, mine.labels))
    steps = count()
    with console.progress("gate") as advance:
        done = gate(
            mine,
            other,
            _reader(stated),
            limits,
            Choice(leaked=include_leaked, most=rows),
            lambda asked: advance(next(steps), 2, asked),
        )
    if out:
        save_gate(done, out)
    if as_json:
        console.print_json(done)
    else:
        show(done)
    return 0 if done.gate == "pass" else 3


def _contender(path: Path, said: Said) -> Contender:
    from edgefer.bench.environment import default_threads
    from edgefer.contract import SUFFIXES
    from edgefer.gating.contender import artifact_contender, backbone_contender

    if path.suffix in SUFFIXES:
        return artifact_contender(path, threads=default_threads())
    return backbone_contender(open_model_alone(path, said), path)


def _named(floors: tuple[tuple[str, float], ...], labels: LabelSet) -> dict[str, float]:
    """Floors by class: those of every class, then the named ones."""
    from edgefer.registry import lookup

    classes = {name: name for name in labels.names}
    for name, _ in floors:
        if name:
            lookup("class", name, classes)
    every = {each: floor for name, floor in floors if not name for each in labels.names}
    return every | {name: floor for name, floor in floors if name}


def _reader(said: Said) -> Read:
    """Reads the faces once a size, and warns of a network that was trained on them."""
    from edgefer.datasets.loading import load

    loaded = cache(load)

    def read(contender: Contender) -> Any:
        spec = contender.input
        labels = said.labels or contender.labels.source
        dataset = loaded(said.data, labels, size=(spec.height, spec.width), channels=spec.pixel_channels)
        warn_of_trained_rows(contender, dataset)
        return dataset.among(contender.labels)

    return read
