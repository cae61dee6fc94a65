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
_TOLD = ("training.epochs=", "training.distillation=")


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
    parts = (f"{_labels(record)}{_weights(record)}", f"epoch {record.best_epoch} of {record.epochs}")
    how = f"{', '.join(parts)}{_taught(record)}{_changed(record.request.overrides)}"
    return _result(record, record.request.overrides, how)


def _weights(record: TrainRecord) -> str:
    """What the training began with; neither a failed download's address nor the place of a file is of interest."""
    if record.request.recipe.backbone.family in ("file", "embedding"):
        return "weights of an earlier training"
    head, colon, _ = record.weights.partition(": ")
    return f"{head})" if colon else head


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


def _taught(record: TrainRecord) -> str:
    distillation = record.request.recipe.training.distillation
    number = len(distillation.teachers) if distillation else 0
    return f", taught by {number} network{'s' * (number > 1)}" if number else ""


def _changed(settings: tuple[str, ...]) -> str:
    """One or two changes by name; epochs and teachers are told already."""
    others = [setting for setting in settings if not setting.startswith(_TOLD)]
    if len(others) > 2:
        return f", {len(others)} settings changed"
    return "".join(f", {_short(setting)}" for setting in others)


def _short(setting: str) -> str:
    name, _, value = setting.partition("=")
    return f"{name.rpartition('.')[2]}={value}"


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
