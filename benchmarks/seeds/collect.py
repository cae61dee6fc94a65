"""The committed training records, as the figures that the package ships."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.costs import RECORDS
from edgefer.metrics import Score
from edgefer.recipe_loading import load_single
from edgefer.recipe_results import Figures, Result
from edgefer.training.ensemble import EnsembleRecord
from edgefer.training.record import TrainRecord

FOLDERS = ("seeds/*.json", "s0-mobilenetv2/train.json")


def collect(records: Path = RECORDS) -> tuple[Result, ...]:
    """All runs that were scored on a test split, sorted by recipe and settings."""
    files = sorted(file for pattern in FOLDERS for file in records.glob(pattern))
    found = [_read(file.read_bytes()) for file in files]
    return tuple(sorted(found, key=lambda result: (result.recipe, result.settings)))


def packed(results: tuple[Result, ...]) -> bytes:
    """``results`` as the file in the package holds them."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def _read(record: bytes) -> Result:
    """An ensemble's record names its members."""
    if "members" in msgspec.json.decode(record):
        return _ensemble(msgspec.json.decode(record, type=EnsembleRecord))
    return _single(msgspec.json.decode(record, type=TrainRecord))


def _single(record: TrainRecord) -> Result:
    head, colon, _ = record.weights.partition(": ")  # a failed download's address is of no interest
    weights, changed = f"{head})" if colon else head, _changed(record.request.overrides)
    how = f"{_labels(record)}{weights}, epoch {record.best_epoch} of {record.epochs}{changed}"
    return _result(record, record.request.overrides, how)


def _labels(record: TrainRecord) -> str:
    """The label set, where it is another than the recipe's own: its scores are of other classes."""
    recipe = record.request.recipe
    own = load_single(recipe.id).data.labels
    return f"{recipe.data.labels}, " if recipe.data.labels != own else ""


def _ensemble(record: EnsembleRecord) -> Result:
    settings = (*record.request.overrides, *record.request.member_overrides)
    epochs = sorted({member.epochs for member in record.members})
    how = f"vote of {len(record.members)} networks, {'/'.join(map(str, epochs))} epochs each{_changed(settings)}"
    return _result(record, settings, how)


def _changed(settings: tuple[str, ...]) -> str:
    return f", {len(settings)} settings changed" if settings else ""


def _result(record: TrainRecord | EnsembleRecord, settings: tuple[str, ...], how: str) -> Result:
    assert record.test is not None
    assert record.test_clean is not None
    augmented = record.test_augmented
    sets = record.test_sets if isinstance(record, TrainRecord) else {}
    return Result(
        recipe=record.request.recipe.id,
        settings=settings,
        how=how,
        data=record.request.data.name,
        parameters=record.parameters,
        seconds=round(record.seconds),
        validation=_figures(record.validation),
        test=_figures(record.test),
        clean=_figures(record.test_clean),
        tta=_figures(augmented.test) if augmented else None,
        sets={name: _figures(score) for name, score in sets.items()},
    )


def _figures(score: Score) -> Figures:
    return Figures(n=score.n, accuracy=score.accuracy, weighted_f1=score.weighted_f1, macro_f1=score.macro_f1)
