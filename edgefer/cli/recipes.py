"""``edgefer recipes``: the shipped recipes, what their sources report and what was reached here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgefer.cli import console

if TYPE_CHECKING:
    from edgefer.recipe import EnsembleRecipe, Recipe
    from edgefer.recipe_results import Result


@click.command()
@click.argument("recipe", required=False)
@console.json_option
def command(recipe: str | None, as_json: bool) -> None:
    """List the shipped recipes, or tell all about RECIPE, an id or a TOML file.

    Beside each stands the figure that its source reports and ours with what it was obtained from: a network trained
    from random weights is no repetition of one that was pretrained. Ours is on the test split, or on those of its
    rows that belong to the set the source scored; where the source scored others, the recipe's remark says so.
    """
    from edgefer.recipe_loading import load_recipe, recipe_ids
    from edgefer.recipe_results import recipe_results

    measured = recipe_results()
    chosen = [load_recipe(name) for name in ([recipe] if recipe else recipe_ids())]
    entries = [(each, [result for result in measured if result.recipe == each.id]) for each in chosen]
    if as_json:
        console.print_json([{"recipe": each, "results": results} for each, results in entries])
    elif recipe:
        _tell(*entries[0])
    else:
        _list(entries)


def _list(entries: Sequence[tuple[Recipe | EnsembleRecipe, list[Result]]]) -> None:
    _compare("Recipes", [row for recipe, results in entries for row in _rows(recipe, results)])


def _rows(recipe: Recipe | EnsembleRecipe, results: list[Result]) -> list[tuple[str, ...]]:
    """One row a run; one that says so if there is none."""
    from edgefer.recipe_results import compared

    facts = (recipe.id, recipe.source.document.split(":")[0])
    return [(*facts, *cells) for cells in compared(recipe.source, results)]


def _compare(title: str, rows: list[tuple[str, ...]]) -> None:
    from edgefer.recipe_results import COLUMNS

    console.print_table(title, ("recipe", "source", *COLUMNS), rows)


def _tell(recipe: Recipe | EnsembleRecipe, results: list[Result]) -> None:
    console.print_table(recipe.title, ("setting", "value"), list(_settings(msgspec.to_builtins(recipe))))
    _compare("Reported and reached", _rows(recipe, results))
    for each in results:
        if each.settings:
            click.echo(f"weighted F1 {each.test.weighted_f1:.4f} with --set {' --set '.join(each.settings)}")


def _settings(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """All settings of a recipe with their dotted names."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
