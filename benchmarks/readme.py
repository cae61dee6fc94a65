"""Regenerates what comes from the code and from committed records: parts of README.md and docs/cli.md, and the
figures that ``edgefer recipes`` shows.

    python benchmarks/readme.py            rewrite them (``make docs``)
    python benchmarks/readme.py --check    exit 1 and name what is stale

A generated part NAME stands between ``<!-- generated:NAME -->`` and ``<!-- /generated -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import click
import msgspec
from click.testing import CliRunner

from benchmarks.compression import pruned, tables, taught
from benchmarks.compression.zeros import zeros
from benchmarks.coreml_results import coreml, networks
from benchmarks.costs import ROOT
from benchmarks.emulated_results import emulated
from benchmarks.explain import explained
from benchmarks.gate_results import gates
from benchmarks.results import NOT_YET, costs, markdown_table, results
from benchmarks.seeds.collect import collect, packed
from benchmarks.seeds.pair import PAIRS, Pair
from benchmarks.trust import table as trust
from edgefer.bench.target import targets
from edgefer.cli.main import cli
from edgefer.recipe import EnsembleRecipe, Recipe
from edgefer.recipe_loading import load_recipe, recipe_ids
from edgefer.recipe_results import COLUMNS, compared
from edgefer.report import words
from edgefer.zoo import CARD, models

WIDTH = 80
PART = re.compile(r"(<!-- generated:(?P<name>[\w-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)

Commands = Iterator[tuple[tuple[str, ...], click.Command]]


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Commands:
    """All commands below ``group`` with the words that call them, groups before their own."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def help_of(words: tuple[str, ...]) -> str:
    """What ``edgefer WORDS --help`` prints at a fixed width."""
    answer = CliRunner().invoke(cli, [*words, "--help"], prog_name="edgefer", terminal_width=WIDTH)
    return answer.output.rstrip()


def _help() -> str:
    return "\n\n".join(_chapter(words) for words in ((), *(words for words, _ in commands())))


def _chapter(words: tuple[str, ...]) -> str:
    return f"## {' '.join(('edgefer', *words))}\n\n```text\n{help_of(words)}\n```"


def _targets() -> str:
    rows = [
        (f"`{target.id}`", target.title, ", ".join(target.formats), target.needs.what or "nothing more")
        for target in targets().values()
    ]
    return markdown_table(("target", "what", "takes", "needs"), rows, numbers=False)


def _recipes() -> str:
    """All recipes; one row a measured run, or one that says that there is none."""
    rows = [row for name in recipe_ids() for row in _runs(load_recipe(name))]
    return markdown_table(("recipe", "what", *COLUMNS), rows, numbers=False)


def _runs(recipe: Recipe | EnsembleRecipe) -> list[tuple[str, ...]]:
    rows = compared(recipe.source, [result for result in RESULTS if result.recipe == recipe.id])
    return [(f"`{recipe.id}`", recipe.title, *(cell or words.ABSENT for cell in row)) for row in rows]


def _pairs() -> str:
    """Two ways of answering on the same test rows, a row a committed comparison."""
    files = sorted(PAIRS.glob("*.json"))
    if not files:
        return NOT_YET
    columns = (
        "what",
        "test rows",
        "first",
        "second",
        "gain, points of accuracy",
        "McNemar's p",
        "without leaked rows",
    )
    rows = [_pair(msgspec.json.decode(file.read_bytes(), type=Pair)) for file in files]
    return markdown_table(columns, rows, numbers=False)


def _pair(pair: Pair) -> tuple[str, ...]:
    sides = (f"{side.words}: {side.accuracy:.4f}" for side in (pair.first, pair.second))
    gain, clean = pair.gain, pair.gain_clean
    return (
        pair.what,
        f"{pair.n:,} of {pair.data}",
        *sides,
        f"{gain.points:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})",
        f"{gain.p:.2g}",
        f"{clean.points:+.2f} ({clean.low:+.2f} to {clean.high:+.2f}) on {pair.n_clean:,}",
    )


PARTS: Mapping[str, Callable[[], str]] = {
    "results-s0-mobilenetv2": partial(results, "s0-mobilenetv2"),
    "results-pi-emulated": emulated,
    "results-coreml": coreml,
    "coreml-networks": networks,
    "costs": costs,
    "targets": _targets,
    "trust": trust,
    "recipes": _recipes,
    "pairs": _pairs,
    "help": _help,
    "students": tables.students,
    "stock": tables.stock,
    "gates": gates,
    "explained": explained,
    "channels": pruned.channels,
    "zeros": zeros,
    "distillation": taught.distillation,
    "learning-rates": taught.learning_rates,
    **{f"card-{name}": partial(tables.model_card, name) for name in models()},
}
CARDS = tuple(folder / CARD for folder in models().values())
FILES = (
    ROOT / "README.md",
    ROOT / "docs" / "cli.md",
    ROOT / "docs" / "explain.md",
    ROOT / "benchmarks" / "compression" / "README.md",
    *CARDS,
)
RESULTS = collect()
# Drawn again with every 'make docs', never compared: where text ends in it depends on the machine's fonts.
PLOT = ROOT / "benchmarks" / "compression" / "channels.svg"
PACKED = ROOT / "edgefer" / "recipes" / "results.json"


def renewed(text: str) -> str:
    """``text`` with its generated parts as they should be."""
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part['name']]()}\n\n{part[3]}", text)


def stale() -> list[str]:
    """Names of the generated parts that are not as they should be, with their file."""
    found = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        pairs = zip(PART.finditer(text), PART.finditer(renewed(text)), strict=True)
        found += [f"{file.name}: {old['name']}" for old, new in pairs if old[0] != new[0]]
    return found + [PACKED.name] * (PACKED.read_bytes() != packed(RESULTS))


def present() -> set[str]:
    """Names of the generated parts that the files hold."""
    return {part["name"] for file in FILES for part in PART.finditer(file.read_text(encoding="utf-8"))}


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something is stale.")
def main(check: bool) -> None:
    """Regenerate what README.md and docs/cli.md take from the code and from committed records."""
    if check:
        for name in (names := stale()):
            click.echo(f"stale: {name}; run make docs", err=True)
        sys.exit(bool(names))
    PACKED.write_bytes(packed(RESULTS))
    PLOT.write_text(pruned.channels_plot() + "\n", encoding="utf-8", newline="\n")
    for file in FILES:
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
