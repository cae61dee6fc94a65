"""``edgefer train``: a recipe in, a trained backbone and its record out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.cli import console
from edgefer.cli.ensembles import is_ensemble, read_ensemble, show_ensemble, train_members
from edgefer.cli.options import OutPath
from edgefer.cli.recipe_data import load_and_tell

if TYPE_CHECKING:
    from edgefer.datasets.base import Dataset
    from edgefer.metrics import Score
    from edgefer.recipe import Recipe
    from edgefer.training.record import Epoch
    from edgefer.training.run import Trained


@click.command()
@click.argument("recipe")
@click.option(
    "--data",
    envvar="EDGEFER_DATA",
    show_envvar=True,
    metavar="PATH",
    help="File or folder of labelled faces, or the word 'synthetic'.",
)
@click.option("--out", type=OutPath(file_okay=False), help="Folder for the run. Default: runs/RECIPE.")
@click.option("--epochs", type=click.IntRange(1), help="Train this many epochs instead of the recipe's.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, for instance training.batch_size=128. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Go on after the last finished epoch of an interrupted run.")
@console.json_option
def command(
    recipe: str,
    data: str | None,
    out: Path | None,
    epochs: int | None,
    settings: tuple[str, ...],
    resume: bool,
    as_json: bool,
) -> None:
    """Train RECIPE, a shipped recipe's id or a TOML file.

    The epoch with the best weighted F1 on the validation split is kept; the test split is scored once, at the
    end. Everything that was changed against the recipe is recorded. An ensemble's members are trained one after
    the other, with the settings of --set and --epochs that are about training, and joined into one network.
    """
    from edgefer.recipe_loading import load_single, naming_lines
    from edgefer.training.folder import RunFolder

    overrides = (*settings, *((f"training.epochs={epochs}",) if epochs else ()))
    if is_ensemble(recipe):
        _train_ensemble(recipe, overrides, data, out, resume, as_json)
        return
    chosen = load_single(recipe, overrides)
    folder = out or Path("runs") / chosen.id
    try:
        with naming_lines(recipe, overrides):
            _check_stages(chosen)
            if not resume:
                RunFolder(folder).check_free()
            trained = _train(chosen, _load_data(chosen, data), folder, resume, overrides)
    except KeyboardInterrupt:
        _say_how_to_resume(folder)
        raise
    if as_json:
        console.print_json(trained.record)
    else:
        _show(trained)
    if chosen.stages:
        files = " and files" if chosen.convert else ""
        console.note(
            f"the recipe's stages{files} come next: edgefer compress {trained.path} --recipe {recipe}"
        )


def _check_stages(recipe: Recipe) -> None:
    """A mistake in the stages that follow, or in how they end, is found before hours of training."""
    from edgefer.compression.planning import read_plan
    from edgefer.conversion import read_conversion

    if recipe.stages:
        read_plan(recipe.stages)
    if recipe.convert:
        read_conversion(recipe.convert, recipe.seed)


def _load_data(recipe: Recipe, data: str | None) -> Dataset:
    spec = recipe.input
    dataset = load_and_tell(data, recipe.data, size=(spec.height, spec.width), channels=spec.pixel_channels)
    if dataset.synthetic:
        console.note("the data is synthetic: its scores say nothing about real faces")
    return dataset


def _train(recipe: Recipe, dataset: Dataset, out: Path, resume: bool, overrides: tuple[str, ...]) -> Trained:
    from edgefer.backbones.startup import start_keras
    from edgefer.training.run import Hooks
    from edgefer.training.trainer import train

    start_keras()
    with console.progress(f"training {recipe.id}") as advance:
        hooks = Hooks(step=advance, epoch=_tell, note=console.note)
        return train(recipe, dataset, out, resume=resume, overrides=overrides, hooks=hooks)


def _train_ensemble(
    recipe: str, settings: tuple[str, ...], data: str | None, out: Path | None, resume: bool, as_json: bool
) -> None:
    from edgefer.backbones.startup import start_keras
    from edgefer.recipe_loading import naming_lines
    from edgefer.training.run import Hooks

    asked = read_ensemble(recipe, settings)
    folder = out or Path("runs") / asked.recipe.id
    start_keras()
    try:
        with naming_lines(recipe, asked.own), console.progress(f"training {asked.recipe.id}") as advance:
            hooks = Hooks(step=advance, epoch=_tell, note=console.note)
            trained = train_members(asked, data, folder, resume, hooks)
    except KeyboardInterrupt:
        _say_how_to_resume(folder)
        raise
    if as_json:
        console.print_json(trained.record)
    else:
        show_ensemble(trained)


def _tell(epoch: Epoch) -> None:
    console.detail(
        f"epoch {epoch.number}: loss {epoch.loss:.4f}, validation loss {epoch.validation_loss:.4f}, "
        f"weighted F1 {epoch.validation_weighted_f1:.4f}, macro F1 {epoch.validation_macro_f1:.4f}, "
        f"learning rate {epoch.learning_rate:.2e}, {epoch.seconds:.0f} s"
    )


def _say_how_to_resume(folder: Path) -> None:
    from edgefer.training.folder import RunFolder

    if RunFolder(folder).unfinished:
        console.note(f"finished epochs are kept; go on with: {_resume_line()}")


def _resume_line() -> str:
    context = click.get_current_context()
    words = ["edgefer", "train", context.params["recipe"]]
    for name, option in (("data", "--data"), ("out", "--out"), ("epochs", "--epochs")):
        words += [option, str(context.params[name])] if context.params[name] else []
    for setting in context.params["settings"]:
        words += ["--set", setting]
    return shlex.join([*words, "--resume"])


def _show(trained: Trained) -> None:
    record = trained.record
    mark = " (synthetic)" if record.request.data.synthetic else ""
    rows = [_row(f"validation{mark}", record.validation)]
    if record.test and record.test_clean:
        rows += [_row(f"test{mark}", record.test), _row(f"test{mark}, no leaked rows", record.test_clean)]
    if augmented := record.test_augmented:
        rows += [
            _row(f"test{mark}, {augmented.tta}", augmented.test),
            _row(f"test{mark}, {augmented.tta}, no leaked rows", augmented.test_clean),
        ]
    title = f"{record.request.recipe.id}, epoch {record.best_epoch} of {record.epochs}"
    console.print_table(title, ("rows", "n", "accuracy", "weighted F1", "macro F1"), rows)
    if augmented:
        click.echo(f"tta     changes {augmented.tta} against plain answers: McNemar p {augmented.p:.2g}")
    click.echo(f"from    {record.weights}")
    click.echo(f"model   {trained.path}")
    click.echo(f"record  {trained.path.with_name('train.json')}")


def _row(name: str, score: Score) -> tuple[str, ...]:
    return name, str(score.n), f"{score.accuracy:.4f}", f"{score.weighted_f1:.4f}", f"{score.macro_f1:.4f}"
