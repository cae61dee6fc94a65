"""``edgefer compress``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.files_made import print_files
from edgefer.cli.models import Said, open_model
from edgefer.cli.options import OutPath, data_options, model_options, seed_option
from edgefer.cli.recipe_data import open_model_as

if TYPE_CHECKING:
    from edgefer.compressing import Compressed, CompressRecord, StageRecord, Standing
    from edgefer.compression.planning import Planned
    from edgefer.conversion import Conversion
    from edgefer.formats.base import Format
    from edgefer.racing import Race
    from edgefer.recipe import Recipe

# Below this a difference in speed is within what two runs of one file differ by on a busy machine.
FASTER = 1.1
COSTLY = 0.5  # points of weighted F1


@click.command(name="compress")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="STAGE",
    help="One of bias-correct, blocks, channels, distill, equalize, magnitude, qat, in the order given. Repeatable.",
)
@click.option(
    "--recipe",
    metavar="RECIPE",
    help="Take the stages of this recipe, a TOML file, the files they end in, and its data: label set, sets, split and "
    "relabelling.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="A stage's setting, for instance channels.macs=0.5 or qat.tuning.training.epochs=3. Repeatable.",
)
@click.option(
    "--to",
    "to",
    metavar="FORMAT[,FORMAT…]",
    help="Convert what the last stage leaves, too, e.g. to tflite-int8,onnx-int8; a recipe's [convert] names formats "
    "and how, and this replaces its formats.",
)
@click.option(
    "--format",
    "format_",
    default="tflite-int8",
    show_default=True,
    help="Format in which the backbones are timed against each other.",
)
@data_options
@model_options
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    help="Folder for the run; compressed/MODEL by default. A stopped run in it goes on.",
)
@seed_option("Seed of all that is drawn.")
@console.json_option
def command(
    model: Path,
    stages: tuple[str, ...],
    recipe: str | None,
    settings: tuple[str, ...],
    to: str | None,
    format_: str,
    out: Path | None,
    seed: int,
    as_json: bool,
    **said: Any,
) -> int:
    """Make MODEL (.keras or .h5) smaller or faster in one or more stages, and say what that cost and brought.

    After each stage the backbone is scored on the validation split and its artifact timed against the original's
    in one run. The last one is written to --out, with the files that --to or the recipe asks for and a record of
    everything. Exit code 3 if one of these files could not be proven.
    """
    from edgefer.compressing import Job, compress
    from edgefer.training.run import Hooks

    chosen = _recipe(stages, recipe)
    with _naming(recipe, chosen, settings):
        plan = _plan(stages, chosen, settings)
        ending = _ending(chosen, to, seed)
    form = _timed_format(format_)
    stated = Said(**said)
    backbone, dataset = open_model_as(recipe, model, stated) if recipe else open_model(model, stated)
    if dataset is None:
        raise click.UsageError("compression is judged on data: give --data (and --labels)")
    folder = out or Path("compressed") / backbone.name
    try:
        with _naming(recipe, chosen, settings), console.progress("compress") as advance:
            job = Job(dataset, form, folder, seed, Hooks(step=advance, note=console.note), ending)
            compressed = compress(backbone, plan, job)
    except KeyboardInterrupt:
        console.note(f"finished stages and epochs are kept in {folder}; the same command goes on with them")
        raise
    _show(compressed, as_json)
    return 0 if all(file.good for file in compressed.record.files) else 3


def _timed_format(name: str) -> Format:
    """The format in which backbones are timed; one that this machine's processor runs."""
    from edgefer.bench.target import load_target
    from edgefer.pipeline import choose_formats
    from edgefer.racing import TARGET

    forms = choose_formats(name)
    if len(forms) != 1:
        raise click.UsageError("--format takes one format")
    (form,), target = forms, load_target(TARGET)
    if not target.takes(form.id):
        raise click.UsageError(
            f"--format {form.id}: stages are timed on this machine's processor, which runs {', '.join(target.formats)}"
        )
    return form


def _naming(name: str | None, recipe: Recipe | None, settings: Sequence[str]) -> Any:
    """Errors about a recipe's stages name their line, or the ``--set`` behind them; those about options the option."""
    from contextlib import nullcontext

    from edgefer.recipe_loading import naming_lines

    if not name or not recipe:
        return nullcontext()
    tables = {str(entry.get("stage")): f"stages[{number}]" for number, entry in enumerate(recipe.stages)}
    return naming_lines(name, settings, tables)


def _recipe(stages: Sequence[str], recipe: str | None) -> Recipe | None:
    """The recipe whose stages are meant, None where they are given one by one."""
    from edgefer.recipe_loading import load_single

    if bool(stages) == bool(recipe):
        raise click.UsageError("say what to do: give --stage, or --recipe with stages in it")
    return load_single(recipe) if recipe else None


def _ending(recipe: Recipe | None, to: str | None, seed: int) -> Conversion | None:
    """The files that are made in the end: as the recipe says, ``to`` going before its formats."""
    import msgspec

    from edgefer.conversion import read_conversion
    from edgefer.pipeline import choose_formats, require_converters
    from edgefer.recipe import ConvertPart

    part = recipe.convert if recipe else None
    if to:
        names = tuple(form.id for form in choose_formats(to))
        part = msgspec.structs.replace(part, formats=names) if part else ConvertPart(formats=names)
    if part is None:
        return None
    ending = read_conversion(part, seed)
    require_converters(ending.formats)
    return ending


def _plan(stages: Sequence[str], recipe: Recipe | None, settings: Sequence[str]) -> tuple[Planned, ...]:
    from edgefer.compression.planning import read_plan
    from edgefer.recipe_loading import apply_settings

    entries = list(recipe.stages) if recipe else [{"stage": stage} for stage in stages]
    tables = {str(entry.get("stage")): dict(entry) for entry in entries}
    for setting in settings:
        _check_stage(setting, tables)
    apply_settings(tables, settings)
    return read_plan([tables[str(entry.get("stage"))] for entry in entries])


def _check_stage(setting: str, tables: dict[str, Any]) -> None:
    from edgefer.errors import InputError
    from edgefer.registry import suggestion

    stage = setting.partition(".")[0]
    if stage not in tables:
        raise InputError(f"--set {setting}: {stage!r} is none of the stages", hint=suggestion(stage, tables))


def _show(compressed: Compressed, as_json: bool) -> None:
    record = compressed.record
    if as_json:
        console.print_json(record)
        return
    rows = [_row("original", record.original, _first_race(record), original=True)]
    rows += [_row(one.stage, one.standing, one.race) for one in record.stages]
    form = record.request.format
    # The float F1, then that of the file on the same rows: int8 may gain where float loses.
    answered = f"as {form.partition('-')[2]}"
    columns = (
        "after",
        "validation F1",
        answered,
        "test F1",
        "MACs",
        "parameters",
        "kB",
        "FPS",
        "speed-up",
        "",
    )
    console.print_table(f"{record.name}, timed as {form} at batch 1", columns, rows)
    for line in verdicts(record):
        console.note(line)
    if record.files:
        print_files(record.files)
    click.echo(f"model   {compressed.path}")
    click.echo(f"record  {compressed.path.with_name('compress.json')}")


def _first_race(record: CompressRecord) -> Race:
    return record.stages[0].race


def _row(name: str, standing: Standing, race: Race, *, original: bool = False) -> tuple[str, ...]:
    fps, size, answered = (
        (race.original_fps, race.original_bytes, race.original_weighted_f1)
        if original
        else (race.fps, race.bytes, race.weighted_f1)
    )
    speedup = 1.0 if original else race.speedup
    return (
        name,
        f"{standing.validation.weighted_f1:.4f}",
        "" if answered is None else f"{answered:.4f}",
        f"{standing.test.weighted_f1:.4f}" if standing.test else "",
        f"{standing.cost.macs:,}",
        f"{standing.cost.parameters:,}",
        f"{size / 1e3:,.0f}" if size else "",
        f"{fps:,.0f}" if fps else "",
        f"{speedup:.2f}x" if speedup else "",
        _mark(race),
    )


def _mark(race: Race) -> str:
    """What must not be missed about the times in a row."""
    if race.invalid:
        return "INVALID"
    return "unstable" if race.unstable else ""


def verdicts(record: CompressRecord) -> list[str]:
    """Plain sentences on what did not pay, stage by stage."""
    lines = []
    before, answered = record.original, _first_race(record).original_weighted_f1
    for one in record.stages:
        lines += [*_losses(one, before, answered), *_verdicts(one, before)]
        before, answered = one.standing, one.race.weighted_f1
    return lines


def _losses(one: StageRecord, before: Standing, answered: float | None) -> list[str]:
    """What the stage cost the float network, and the file, whose weighted F1 was ``answered`` before."""
    scores = (
        ("in float", before.validation.weighted_f1, one.standing.validation.weighted_f1),
        (f"as {one.race.format}", answered, one.race.weighted_f1),
    )
    return [
        f"{one.stage}: costs {100 * (old - new):.2f} points of weighted F1 on validation {where}"
        for where, old, new in scores
        if old is not None and new is not None and 100 * (old - new) > COSTLY
    ]


def _verdicts(one: StageRecord, before: Standing) -> list[str]:
    lines = []
    if one.race.skipped:
        lines.append(f"{one.stage}: not timed: {one.race.skipped}")
    elif one.race.invalid:
        lines.append(f"{one.stage}: its times do not count: {one.race.invalid}")
    elif one.race.speedup is not None and one.race.speedup < FASTER and one.standing.cost != before.cost:
        lines.append(
            f"{one.stage}: {one.race.speedup:.2f} times as fast as the original: too little to speak of here"
        )
    if one.race.unstable:
        lines.append(f"{one.stage}: its timing is unstable, this machine is busy")
    return lines
