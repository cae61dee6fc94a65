"""Does an ensemble of teachers teach better than hard labels, or than the taggers' votes alone?

    python benchmarks/compression/distillation.py --teacher runs/teachers/lite0-48.keras \\
        --teacher runs/teachers/student-micro.keras --teacher runs/teachers/student-small.keras --data PATH

The smallest student is trained on each with the same schedule and several seeds, without the parallel branches that
make a student's training two thirds longer; runs are resumed where an earlier call left them, seed by seed, so that a
stopped series has whole seeds. The train records go to
``benchmarks/records/compression/distillation``, one ``ARM.SEED.json`` each.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from benchmarks.costs import RECORDS, edgefer, run

FOLDER = RECORDS / "compression" / "distillation"
RECIPE = "student-nano"
SHARED = ("backbone.options.branches=false",)
SEEDS = (1, 2, 3, 4, 5)
ARMS = {"hard": "hard labels", "votes": "votes", "ensemble": "votes and an ensemble of teachers"}


@click.command()
@click.option("--teacher", "teachers", multiple=True, required=True, help="A backbone's file. Repeatable.")
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--epochs", type=int, default=10, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
def main(teachers: tuple[str, ...], data: str, epochs: int, out: Path) -> None:
    """Train every arm with every seed."""
    names = ",".join(f'"{teacher}"' for teacher in teachers)
    ways = {
        "hard": ["training.targets=majority"],
        "votes": ["training.targets=votes"],
        "ensemble": ["training.targets=votes", f"training.distillation={{teachers=[{names}]}}"],
    }
    for seed in SEEDS:
        for arm in ARMS:
            _trained(
                f"{arm}.{seed}", [f"seed={seed}", f"training.epochs={epochs}", *SHARED, *ways[arm]], data, out
            )
    click.echo(f"{FOLDER}; now run make docs")


def _trained(name: str, settings: list[str], data: str, out: Path) -> None:
    folder = out / "distillation" / name
    if not (folder / "train.json").exists():
        words = [word for setting in settings for word in ("--set", setting)]
        resume = ["--resume"] * (folder / "request.json").exists()
        run(edgefer("--verbose", "train", RECIPE, "--data", data, "--out", folder, *words, *resume))
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "train.json", FOLDER / f"{name}.json")


if __name__ == "__main__":
    main()
