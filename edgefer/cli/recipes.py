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

COLUMNS = ("recipe", "source", "metric", "reported", "ours", "without leaked rows", "how ours was obtained")


@click.command()
@click.argument("recipe", required=False)
@console.json_option
def command(recipe: str | None, as_json: bool) -> None:
    """List the shipped recipes, or tell all about RECIPE, an id or a TOML file.

    Beside each stands the figure that its source reports and ours, both on the test split, with what ours was
    obtained from: a network trained from random weights is no repetition of one that was pretrained.
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
    rows = [row for recipe, results in entries for row in _rows(recipe, results)]
    console.print_table("Recipes", COLUMNS, rows)


def _rows(recipe: Recipe | EnsembleRecipe, results: list[Result]) -> list[tuple[str, ...]]:
    """One row a run; one that says so if there is none."""
    from edgefer.recipe_results import comparable_metric

    source, reported = recipe.source.document.split(":")[0], recipe.source.reported
    metric = comparable_metric(reported)
    facts = (recipe.id, source, metric.replace("_f1", " F1"), _figure(reported.get(metric)))
    if not results:
        return [(*facts, "", "", "not trained yet")]
    return [
        (*facts, _figure(getattr(each.test, metric)), _figure(getattr(each.clean, metric)), each.told(metric))
        for each in results
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _tell(recipe: Recipe | EnsembleRecipe, results: list[Result]) -> None:
    console.print_table(recipe.title, ("setting", "value"), list(_settings(msgspec.to_builtins(recipe))))
    console.print_table("Reported and reached", COLUMNS, _rows(recipe, results))
    for each in results:
        if each.settings:
            click.echo(f"{_figure(each.test.weighted_f1)} with --set {' --set '.join(each.settings)}")


def _settings(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """All settings of a recipe with their dotted names."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
