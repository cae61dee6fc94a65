"""Holds two ways of answering against each other on the same test rows: with and without more data, a vote, or copies.

    python benchmarks/seeds/pair.py s1-tta --labels fer2013-7 --data PATH \\
        --first "one answer=runs/s1-baseline/model.keras" --second "nine copies=runs/s1-baseline/model.keras:s1-seven"

A side is WORDS=MODEL[,MODEL...][:TTA]: several models vote, TTA is a kind of test-time augmentation. The gain comes
with its paired bootstrap interval and McNemar's p; the record goes to ``benchmarks/records/pairs``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, get_args

import click
import numpy as np
import numpy.typing as npt

from benchmarks.costs import RECORDS, write_json
from edgefer.backbones.ensemble import soft_vote
from edgefer.backbones.loading import load_backbone
from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.loading import load
from edgefer.metrics import mcnemar_p
from edgefer.spec import Frozen
from edgefer.training.test_time import TestTime, averaged

PAIRS = RECORDS / "pairs"
SCHEMA = 1
RESAMPLES = 5000


class Side(Frozen, frozen=True):
    """One way of answering, its models' hashes, and its accuracy (0..1) on all rows and without leaked ones."""

    words: str
    sha256: tuple[str, ...]
    accuracy: float
    accuracy_clean: float


class Gain(Frozen, frozen=True):
    """Second minus first in points of accuracy, with a 95 % interval, and McNemar's p."""

    points: float
    low: float
    high: float
    p: float


class Pair(Frozen, frozen=True):
    """Two sides on the same ``n`` test rows of ``data``; ``gain_clean`` on the rows without leaks."""

    schema: int
    what: str
    data: str
    n: int
    n_clean: int
    rows_sha256: str
    first: Side
    second: Side
    gain: Gain
    gain_clean: Gain


class _Asked(NamedTuple):
    words: str
    models: tuple[Path, ...]
    tta: TestTime


def _side(text: str) -> _Asked:
    words, equals, rest = text.partition("=")
    models, _, tta = rest.partition(":")
    if not equals or not models or tta not in ("", *get_args(TestTime)):
        raise click.BadParameter(f"{text!r}: write WORDS=MODEL[,MODEL...][:TTA]")
    return _Asked(words, tuple(Path(model) for model in models.split(",")), tta or "none")  # type: ignore[arg-type]


@click.command()
@click.argument("name")
@click.option("--what", required=True, help="What is compared, for the table.")
@click.option("--data", envvar="EDGEFER_DATA", required=True)
@click.option("--labels", required=True)
@click.option("--first", required=True, metavar="SIDE")
@click.option("--second", required=True, metavar="SIDE")
def main(name: str, what: str, data: str, labels: str, first: str, second: str) -> None:
    sides, answered = [], []
    for asked in (_side(first), _side(second)):
        hashes, right, test, dataset = _answer(asked, data, labels)
        kept = ~test.leaked
        side = Side(
            words=asked.words,
            sha256=hashes,
            accuracy=float(right.mean()),
            accuracy_clean=float(right[kept].mean()),
        )
        sides.append(side)
        answered.append(right)
    pair = Pair(
        schema=SCHEMA,
        what=what,
        data=dataset.name,
        n=len(test),
        n_clean=int(kept.sum()),
        rows_sha256=test.sha256,
        first=sides[0],
        second=sides[1],
        gain=gain(*answered),
        gain_clean=gain(*(right[kept] for right in answered)),
    )
    PAIRS.mkdir(parents=True, exist_ok=True)
    write_json(PAIRS / f"{name}.json", pair)
    click.echo(f"{sides[0].accuracy:.4f} {sides[1].accuracy:.4f} {pair.gain}")


def gain(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Gain:
    """What the second side gains over the first, both right or wrong on the same rows (N,)."""
    from scipy.stats import bootstrap

    change = 100 * (second.astype(float) - first.astype(float))
    interval = bootstrap(
        (change,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Gain(
        points=float(change.mean()),
        low=float(interval.low),
        high=float(interval.high),
        p=mcnemar_p(first, second),
    )


def _answer(
    asked: _Asked, data: str, labels: str
) -> tuple[tuple[str, ...], npt.NDArray[np.bool_], Subset, Dataset]:
    """Hashes of the models, which test rows (N,) they get right, and those rows."""
    hashes, answers = [], []
    for path in asked.models:
        backbone = load_backbone(path)
        spec = backbone.input
        dataset = load(data, labels, size=(spec.height, spec.width), channels=spec.pixel_channels)
        dataset.require_classes(backbone.labels.names, str(path))
        test = dataset.split("test")
        answers.append(averaged(backbone, np.asarray(test.pixels), asked.tta))
        hashes.append(backbone.sha256)
    right = soft_vote(answers).argmax(axis=1) == test.labels
    return tuple(hashes), right, test, dataset


if __name__ == "__main__":
    main()
