"""Ensemble recipes for ``edgefer train``: which settings are whose, the training, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.cli import console
from edgefer.cli.recipe_data import load_and_tell
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.datasets.base import Dataset
    from edgefer.metrics import Score
    from edgefer.recipe import EnsembleRecipe
    from edgefer.training.ensemble import TrainedEnsemble
    from edgefer.training.run import Hooks

# An ensemble has no such tables of its own: settings in them are every member's.
_MEMBERS_OWN = ("backbone", "training", "augmentation", "seed")


@dataclass(frozen=True)
class Asked:
    """An ensemble's recipe, the settings that changed it, and those that change every member."""

    recipe: EnsembleRecipe
    own: tuple[str, ...]
    shared: tuple[str, ...]


def is_ensemble(recipe: str) -> bool:
    """Whether the recipe's file has members; one that cannot be read without settings is left to who reads it."""
    from edgefer.recipe import EnsembleRecipe
    from edgefer.recipe_loading import load_recipe

    try:
        return isinstance(load_recipe(recipe), EnsembleRecipe)
    except InputError:
        return False


def read_ensemble(recipe: str, settings: tuple[str, ...]) -> Asked:
    """Read the recipe with those of the settings that are its own."""
    from edgefer.recipe import EnsembleRecipe
    from edgefer.recipe_loading import load_recipe

    shared = tuple(one for one in settings if one.partition("=")[0].strip().split(".")[0] in _MEMBERS_OWN)
    own = tuple(one for one in settings if one not in shared)
    chosen = load_recipe(recipe, own)
    if not isinstance(chosen, EnsembleRecipe):
        raise InputError(
            f"{recipe} is no ensemble with {', '.join(own)}", hint="leave its members as they are"
        )
    return Asked(chosen, own, shared)


def train_members(asked: Asked, data: str | None, out: Path, resume: bool, hooks: Hooks) -> TrainedEnsemble:
    """Train the members and join them; raises as ``train_ensemble`` does."""
    from edgefer.training.ensemble import train_ensemble

    @cache
    def loaded(height: int, width: int, channels: int) -> Dataset:
        return load_and_tell(data, asked.recipe.data, size=(height, width), channels=channels)

    return train_ensemble(
        asked.recipe,
        lambda spec: loaded(spec.height, spec.width, spec.pixel_channels),
        out,
        resume=resume,
        overrides=asked.own,
        member_overrides=asked.shared,
        hooks=hooks,
    )


def show_ensemble(trained: TrainedEnsemble) -> None:
    """Print the members and the vote, the gain over the best member and where everything stands."""
    record = trained.record
    mark = " (synthetic)" if record.request.data.synthetic else ""
    rows = [
        (each.folder, *_figures(each.validation), *_figures(each.test), each.weights)
        for each in record.members
    ]
    rows.append(("vote", *_figures(record.validation), *_figures(record.test), ""))
    if record.test_clean:
        rows.append(("vote, no leaked rows", "", "", *_figures(record.test_clean), ""))
    if record.test_augmented:
        augmented = record.test_augmented
        rows.append(
            (f"vote, {augmented.tta}", "", "", *_figures(augmented.test), f"McNemar p {augmented.p:.2g}")
        )
    columns = ("", "validation accuracy", "weighted F1", "test accuracy", "weighted F1", "from")
    console.print_table(f"{record.request.recipe.id}{mark}", columns, rows)
    if record.p is not None:
        click.echo(
            f"vote against {record.best_member}, best on validation, on test: McNemar p {record.p:.2g}"
        )
    click.echo(f"model   {trained.path}")
    click.echo(f"record  {trained.path.with_name('train.json')}")


def _figures(score: Score | None) -> tuple[str, str]:
    return (f"{score.accuracy:.4f}", f"{score.weighted_f1:.4f}") if score else ("", "")
