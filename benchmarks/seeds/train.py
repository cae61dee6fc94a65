"""Trains recipes one after the other and writes down what they reached.

    python benchmarks/seeds/train.py s1-baseline s4-easynet --data PATH
    python benchmarks/seeds/train.py s0-mobilenetv2 --data PATH --variant short --set training.epochs=40

Each run lies in ``--out``/RECIPE[.VARIANT] and is resumed where an earlier call left it; a finished one is not trained
again. Its record goes to ``benchmarks/records/seeds``; ``make docs`` brings all of them into the package
(``edgefer recipes``) and the README.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from benchmarks.costs import RECORDS, edgefer, run

SEEDS = RECORDS / "seeds"


@click.command()
@click.argument("recipes", nargs=-1, required=True)
@click.option(
    "--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013, the FER+ votes and CK+."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--variant", help="Name of a run that differs from the recipe.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As for edgefer train.")
def main(
    recipes: tuple[str, ...], data: str, out: Path, variant: str | None, settings: tuple[str, ...]
) -> None:
    """Train RECIPES, ids or TOML files."""
    if bool(variant) != bool(settings):
        raise click.UsageError(
            "a run with --set needs a --variant to be told from the recipe's own, and only that"
        )
    for recipe in recipes:
        name = ".".join(filter(None, (Path(recipe).stem, variant)))
        _train(recipe, data, out / name, settings)
        SEEDS.mkdir(parents=True, exist_ok=True)
        shutil.copy(out / name / "train.json", SEEDS / f"{name}.json")
        click.echo(SEEDS / f"{name}.json")


def _train(recipe: str, data: str, out: Path, settings: tuple[str, ...]) -> None:
    if (record := out / "train.json").exists():
        _require_settings(record, settings)
        return
    options = [word for setting in settings for word in ("--set", setting)]
    resume = ["--resume"] * (out / "request.json").exists()
    run(edgefer("--verbose", "train", recipe, "--data", data, "--out", out, *options, *resume))


def _require_settings(record: Path, settings: tuple[str, ...]) -> None:
    """Pass if a finished run is the one asked for; an ensemble's settings are its members' in part."""
    request = json.loads(record.read_bytes())["request"]
    given = [*request["overrides"], *request.get("member_overrides", ())]
    if sorted(given) != sorted(settings):
        raise click.UsageError(f"{record.parent} was trained with other settings; name another --variant")


if __name__ == "__main__":
    main()
