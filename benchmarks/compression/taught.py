"""Tables of one student trained in several ways, from committed train records only."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.compression.distillation import ARMS, FOLDER, SEEDS
from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, markdown_table
from edgefer.report import words
from edgefer.training.record import TrainRecord

Values = npt.NDArray[np.float64]

RATES = RECORDS / "compression" / "nano-search"


def distillation(folder: Path = FOLDER) -> str:
    """Every arm's scores over its seeds, and what the ensemble gains over the others."""
    found = {arm: _records(folder, arm) for arm in ARMS}
    if not all(found.values()):
        return NOT_YET
    columns = ("taught by", "seeds", "validation weighted F1", "test weighted F1 of each seed",
               "mean", "mean macro F1", "the ensemble's gain, points")  # fmt: skip
    rows = [_arm(arm, found[arm], found["ensemble"]) for arm in ARMS]
    one = found["ensemble"][0]
    head = (
        f"`{one.request.recipe.id}`, {one.epochs} epochs each; teachers: "
        f"{words.listing([f'`{Path(file).stem}`' for file in one.teachers])}."
    )
    return f"{head}\n\n{markdown_table(columns, rows)}"


def learning_rates(folder: Path = RATES) -> str:
    """What each learning rate that was tried with the smallest student came to."""
    found = [
        msgspec.json.decode(file.read_bytes(), type=TrainRecord) for file in sorted(folder.glob("*.json"))
    ]
    if not found:
        return NOT_YET
    columns = ("learning rate", "batch", "dropout", "epochs", "validation weighted F1")
    rows = [
        (
            f"{record.request.recipe.training.learning_rate:g}",
            str(record.request.recipe.training.batch_size),
            f"{record.request.recipe.backbone.options['dropout']:g}",
            str(record.epochs),
            words.f1(record.validation.weighted_f1),
        )
        for record in sorted(found, key=lambda record: record.validation.weighted_f1)
    ]
    return markdown_table(columns, rows)


def _records(folder: Path, arm: str) -> list[TrainRecord]:
    """One a seed, in the seeds' order, as far as they were trained."""
    files = [folder / f"{arm}.{seed}.json" for seed in SEEDS]
    return [msgspec.json.decode(file.read_bytes(), type=TrainRecord) for file in files if file.exists()]


def _arm(arm: str, records: list[TrainRecord], best: list[TrainRecord]) -> tuple[str, ...]:
    test = _weighted(records)
    return (
        ARMS[arm],
        str(len(records)),
        words.f1(float(np.mean([record.validation.weighted_f1 for record in records]))),
        ", ".join(words.f1(value) for value in test),
        words.f1(float(test.mean())),
        words.f1(float(np.mean([record.test.macro_f1 for record in records if record.test]))),
        words.ABSENT if arm == "ensemble" else _gain(_weighted(best), test),
    )


def _weighted(records: list[TrainRecord]) -> Values:
    return np.array([record.test.weighted_f1 for record in records if record.test])


def _gain(mine: Values, other: Values) -> str:
    """Mean difference of seeds trained in pairs, with Student's 95 % interval: few seeds, a wide one."""
    from scipy.stats import ttest_rel

    both = min(len(mine), len(other))
    gains = 100 * (mine[:both] - other[:both])
    if both < 2:
        return f"{gains.mean():+.2f} (one seed)"
    interval = ttest_rel(100 * mine[:both], 100 * other[:both]).confidence_interval(0.95)
    return f"{gains.mean():+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"
