"""The committed training records, as the figures that the package ships."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from edgefer.metrics import Score
from edgefer.recipe_results import Figures, Result
from edgefer.training.record import TrainRecord

FOLDERS = ("seeds/*.json", "s0-mobilenetv2/train.json")


def collect(records: Path = RECORDS) -> tuple[Result, ...]:
    """All runs that were scored on a test split, sorted by recipe and settings."""
    files = sorted(file for pattern in FOLDERS for file in records.glob(pattern))
    found = [_result(msgspec.json.decode(file.read_bytes(), type=TrainRecord)) for file in files]
    return tuple(sorted(found, key=lambda result: (result.recipe, result.settings)))


def packed(results: tuple[Result, ...]) -> bytes:
    """``results`` as the file in the package holds them."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def _result(record: TrainRecord) -> Result:
    assert record.test is not None
    assert record.test_clean is not None
    head, colon, _ = record.weights.partition(": ")  # a failed download's address is of no interest
    return Result(
        recipe=record.request.recipe.id,
        settings=record.request.overrides,
        weights=f"{head})" if colon else head,
        data=record.request.data.name,
        epochs=record.epochs,
        best_epoch=record.best_epoch,
        parameters=record.parameters,
        seconds=round(record.seconds),
        backend=record.backend,
        validation=_figures(record.validation),
        test=_figures(record.test),
        clean=_figures(record.test_clean),
    )


def _figures(score: Score) -> Figures:
    return Figures(n=score.n, accuracy=score.accuracy, weighted_f1=score.weighted_f1, macro_f1=score.macro_f1)
