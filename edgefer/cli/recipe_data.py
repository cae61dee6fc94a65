"""Labelled faces as a recipe takes them: shared by the commands that have ``--recipe``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.models import Said, image_shape, open_model_of, warn_of_trained_rows

if TYPE_CHECKING:
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.base import Dataset
    from edgefer.recipe import DataPart


def recipe_options(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--recipe`` and ``--set``, passed on as ``recipe: str | None`` and ``settings: tuple[str, ...]``."""
    recipe = click.option(
        "--recipe",
        metavar="RECIPE",
        help="Take the data as this recipe does: its label set, sets, split and relabelling.",
    )
    settings = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting of the recipe, for instance data.split=grouped. Repeatable.",
    )
    return recipe(settings(wrapped))


def data_part(recipe: str | None, settings: tuple[str, ...], labels: str | None) -> DataPart | None:
    """What a recipe says about its data, None without one.

    Raises:
        UsageError: there is no recipe to change, or two label sets are given.
    """
    from edgefer.recipe_loading import load_recipe

    if recipe is None:
        if settings:
            raise click.UsageError("--set changes a recipe: give --recipe")
        return None
    if labels:
        raise click.UsageError("give either --labels or --recipe (and --set data.labels=SET)")
    return load_recipe(recipe, settings).data


def load_part(
    data: str | None, part: DataPart, recipe: str | None, settings: tuple[str, ...], **shape: Any
) -> Dataset:
    """Load as a recipe says; errors about a setting name its line."""
    from edgefer.recipe_loading import naming_lines

    if recipe is None:
        return load_and_tell(data, part, **shape)
    with naming_lines(recipe, settings):
        return load_and_tell(data, part, **shape)


def load_and_tell(data: str | None, part: DataPart, **shape: Any) -> Dataset:
    """Load what ``part`` asks for, and say which of its optional sets are not there: without them scores differ."""
    from edgefer.datasets.loading import load_for

    dataset = load_for(data, part, **shape)
    if dataset.absent:
        console.note(f"optional and not found: {', '.join(dataset.absent)}")
    return dataset


def open_model_as(recipe: str, model: Path, said: Said) -> tuple[Backbone, Dataset | None]:
    """The backbone, and the user's data put together as ``recipe`` says (None if there is none).

    Raises:
        UsageError: ``--labels`` names another label set than the recipe.
    """
    from edgefer.recipe_loading import load_recipe

    part = load_recipe(recipe).data
    if said.labels not in (None, part.labels):
        raise click.UsageError(f"--labels {said.labels}: the recipe's data has {part.labels}")
    backbone = open_model_of(part, model, said)
    if not said.data:
        return backbone, None
    dataset = load_part(said.data, part, recipe, (), **image_shape(backbone))
    dataset.require_classes(backbone.labels.names, str(model))
    warn_of_trained_rows(backbone, dataset)
    return backbone, dataset
