"""``edgefer data``: look into labelled faces, parse them into the cache, find doubtful labels."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.data_clean import clean
from edgefer.cli.options import data_options
from edgefer.cli.recipe_data import data_part, load_part, recipe_options

if TYPE_CHECKING:
    from edgefer.datasets.base import Census
    from edgefer.datasets.inspection import Inspection, SplitInspection


@click.group()
def command() -> None:
    """Look into labelled faces, parse them into the cache, find doubtful labels."""


@command.command()
@data_options
@recipe_options
@console.json_option
def inspect(
    data: str | None, labels: str | None, recipe: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Count rows, classes, ties, duplicates and images leaked from training into validation or test.

    With --recipe also the rows of each set that is merged.
    """
    from edgefer.datasets.inspection import inspect as count
    from edgefer.datasets.loading import load

    part = data_part(recipe, settings, labels)
    found = count(load_part(data, part, recipe, settings) if part else load(data, labels))
    if as_json:
        console.print_json(found)
        return
    _print_splits(found)
    if len(found.sets) > 1:
        _print_sets(found)
    _print_duplicates(found)
    if found.skipped:
        files = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(found.skipped.items()))
        console.note(f"beside the pictures, not read: {files}")


def _print_sets(found: Inspection) -> None:
    splits = list(found.splits.values())
    rows = []
    for one in found.sets:
        counts = [split.sets[one] for split in splits]
        rows += [(one, name, *(f"{count[name]:,}" for count in counts)) for name in found.labels.names]
        rows.append((one, "all", *(f"{sum(count.values()):,}" for count in counts)))
    console.print_table("Usable rows by set", ("set", "class", *found.splits), rows)


def _print_splits(found: Inspection) -> None:
    splits = list(found.splits.values())
    reasons = list(dict.fromkeys(reason for split in splits for reason in split.dropped))
    rows: list[tuple[str, ...]] = [
        (name, *(_share(split.classes[name], split) for split in splits)) for name in found.labels.names
    ]
    rows.append(("all usable rows", *(f"{split.rows:,}" for split in splits)))
    for reason in reasons:
        rows.append((f"dropped: {reason}", *(str(split.dropped.get(reason, 0)) for split in splits)))
    if any(split.ties is not None for split in splits):
        rows.append(("tied votes", *(_share(split.ties or 0, split) for split in splits)))
        rows.append(("mean share of the label's votes", *(f"{split.majority_share:.1%}" for split in splits)))
    if found.relabelled:
        rows.append(("relabelled", *(str(found.relabelled * (name == "train")) for name in found.splits)))
    rows.append(("image also in train", *(_share(split.leaked, split) for split in splits)))
    title = f"{found.data}{' (synthetic)' * found.synthetic}, {found.labels.source}"
    console.print_table(title, ("rows", *found.splits), rows)


def _share(count: int, split: SplitInspection) -> str:
    return f"{count:,} ({count / split.rows:.1%})"


def _print_duplicates(found: Inspection) -> None:
    leaked = (f"{split} rows also in train" for split in found.usable.leaked)
    columns = ("of the rows", "rows", "repeat an earlier row", *leaked)
    rows = (_census("all in the files", found.in_files), _census("usable", found.usable))
    console.print_table("Exact duplicates", columns, rows)


def _census(title: str, census: Census) -> tuple[str, ...]:
    numbers = (sum(census.rows.values()), census.duplicates, *census.leaked.values())
    return (title, *(f"{number:,}" for number in numbers))


@command.command(name="import")
@data_options
@console.json_option
def import_(data: str | None, labels: str | None, as_json: bool) -> None:
    """Parse the data into the cache, and say where it stands and how long loading takes."""
    from edgefer.datasets.loading import plan

    planned = plan(data, labels)
    cached = planned.entry.exists()
    started = perf_counter()
    dataset = planned.load()
    parsed = perf_counter()
    planned.load()
    facts = {
        "data": dataset.name,
        "labels": dataset.labels.source,
        "rows": {split: len(subset) for split, subset in dataset.splits.items()},
        "cache": str(planned.entry),
        "was_cached": cached,
        "first_load_s": round(parsed - started, 3),
        "second_load_s": round(perf_counter() - parsed, 3),
    }
    if as_json:
        console.print_json(facts)
    else:
        _print_import(facts)


def _print_import(facts: dict[str, Any]) -> None:
    rows = ", ".join(f"{split} {count:,}" for split, count in facts["rows"].items())
    first = "from the cache" if facts["was_cached"] else "parsed"
    click.echo(f"{facts['data']}, {facts['labels']}: {rows}")
    click.echo(f"{first} in {facts['first_load_s']:.2f} s, second load in {facts['second_load_s']:.2f} s")
    click.echo(f"cache: {facts['cache']}")


command.add_command(clean)
