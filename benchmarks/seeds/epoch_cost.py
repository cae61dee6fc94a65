"""What training each recipe costs on this machine: step time and peak memory measured, time per epoch estimated.

    python benchmarks/seeds/epoch_cost.py
    python benchmarks/seeds/epoch_cost.py s0-final s1-vgg16

Each recipe trains some batches of its own size, in a process of its own, on drawn faces at its own input size and with
its own augmentation. The epoch is that of FER2013's training split, ``EPOCH_ROWS`` rows: an estimate, for most of these
epochs would take hours here. Writes ``benchmarks/records/epoch-cost.json``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from statistics import median

import click
import msgspec

from benchmarks.costs import RECORDS, now, run, write_json
from edgefer.bench.environment import default_threads, environment
from edgefer.datasets.base import Subset
from edgefer.recipe import Recipe
from edgefer.recipe_loading import load_recipe, recipe_ids
from edgefer.spec import Frozen
from edgefer.training.batches import Batch, batches

EPOCH_ROWS = 28_709
LEAST_SECONDS, MOST_STEPS = 20.0, 20


class EpochCost(Frozen, frozen=True):
    """``step_seconds`` of each timed batch (after one that is not timed), augmentation included."""

    recipe: str
    family: str
    input: str
    batch_size: int
    parameters: int
    macs: int
    step_seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def epoch_seconds(self) -> float:
        """Estimated: as many median steps as ``EPOCH_ROWS`` rows take."""
        return EPOCH_ROWS / self.batch_size * median(self.step_seconds)


class EpochCostRecord(Frozen, frozen=True):
    """Schema history: 1 — first version."""

    schema: int
    started: str
    environment: dict[str, object]
    costs: tuple[EpochCost, ...]


@click.command()
@click.argument("recipes", nargs=-1)
@click.option("--worker", is_flag=True, hidden=True)
def main(recipes: tuple[str, ...], worker: bool) -> None:
    """Measure RECIPES, all of them by default; networks that several recipes share are measured once."""
    if worker:
        click.echo(msgspec.json.encode(_measure(_plain(recipes[0]))))
        return
    record = EpochCostRecord(
        schema=1,
        started=now().isoformat(timespec="seconds"),
        environment=environment(default_threads()),
        costs=(),
    )
    for name in recipes or _distinct():
        ran = run([sys.executable, __file__, "--worker", name])
        cost = msgspec.json.decode(ran.output.splitlines()[-1], type=EpochCost)
        cost = msgspec.structs.replace(cost, peak_bytes=ran.peak_bytes)
        click.echo(f"{name}: {cost.epoch_seconds:,.0f} s an epoch, {ran.peak_bytes / 1e9:.1f} GB")
        # After each: the large networks take minutes, and a stopped run keeps the others.
        record = msgspec.structs.replace(record, costs=(*record.costs, cost))
        write_json(RECORDS / "epoch-cost.json", record)


def _plain(name: str) -> Recipe:
    """The recipe from random weights: what it costs is the same, and some have to be brought."""
    recipe = load_recipe(name, overrides=["backbone.weights=none"])
    assert isinstance(recipe, Recipe)
    return recipe


def _distinct() -> list[str]:
    """One recipe a network, input size and batch size."""
    found: dict[bytes, str] = {}
    for name in recipe_ids():
        if isinstance(recipe := load_recipe(name), Recipe):
            what = (recipe.backbone.family, recipe.backbone.options, recipe.input, recipe.training.batch_size)
            found.setdefault(msgspec.json.encode(what), name)
    return list(found.values())


def _measure(recipe: Recipe) -> EpochCost:
    from edgefer.backbones.graph import cost_of
    from edgefer.backbones.startup import start_keras
    from edgefer.datasets.loading import load
    from edgefer.training.network import build_network

    start_keras()
    spec = recipe.input
    faces = load("synthetic", None, size=(spec.height, spec.width), channels=spec.pixel_channels).split(
        "train"
    )
    model, _ = build_network(recipe, faces.soft.shape[1])
    seconds: list[float] = []
    begin = time.perf_counter()
    for batch in islice(_endless(faces, recipe), MOST_STEPS + 1):
        model.train_on_batch(*batch)
        end = time.perf_counter()
        seconds.append(end - begin)
        begin = end
        if sum(seconds[1:]) > LEAST_SECONDS:
            break
    cost = cost_of(model)
    size = f"{spec.height}x{spec.width}x{spec.channels}"
    return EpochCost(
        recipe=recipe.id,
        family=recipe.backbone.family,
        input=size,
        batch_size=recipe.training.batch_size,
        parameters=cost.parameters,
        macs=cost.macs,
        step_seconds=tuple(seconds[1:]),
        peak_bytes=0,
    )


def _endless(faces: Subset, recipe: Recipe) -> Iterator[Batch]:
    """Batches of one epoch after the other."""
    for epoch in count(1):
        yield from batches(faces, recipe, epoch)


if __name__ == "__main__":
    main()
