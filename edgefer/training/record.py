"""What a training run writes down about itself."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Dataset
from edgefer.errors import InputError
from edgefer.files import write_atomic
from edgefer.metrics import Score
from edgefer.recipe import Recipe
from edgefer.spec import Frozen

SCHEMA = 5
TOOLS = ("edgefer", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy")


class Epoch(Frozen, frozen=True):
    """One finished epoch. ``number`` counts from 1; ``loss`` is its mean on the augmented batches."""

    number: int
    learning_rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float
    validation_weighted_f1: float
    validation_macro_f1: float
    seconds: float


class DataUsed(Frozen, frozen=True):
    """Which rows were used: their number and hash a split.

    ``sets`` are those that were merged, ``absent`` the optional ones that were not there; ``relabelled`` counts
    training rows whose label was corrected. ``votes_sha256`` is a hash a split of the taggers' votes,
    which may change where no label does; older records have none.
    """

    name: str
    labels: str
    synthetic: bool
    rows: dict[str, int]
    sha256: dict[str, str]
    sets: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    relabelled: int = 0
    votes_sha256: dict[str, str] = msgspec.field(default_factory=dict)

    def as_known_to(self, before: DataUsed) -> DataUsed:
        """This under the name in ``before``, as hashes say which rows they are, without what that is too old to say."""
        votes = self.votes_sha256 if before.votes_sha256 else {}
        return msgspec.structs.replace(self, name=before.name, votes_sha256=votes)


class Request(Frozen, frozen=True):
    """What was asked for: the recipe as it stands after the ``overrides``, and the data.

    ``models`` maps the files of other networks that it names, teachers and the one to train further, to their hashes.
    """

    recipe: Recipe
    overrides: tuple[str, ...]
    data: DataUsed
    models: dict[str, str] = msgspec.field(default_factory=dict)


class AugmentedScore(Frozen, frozen=True):
    """The test split scored with test-time augmentation, ``tta`` as the recipe names it.

    ``p`` is McNemar's for the answers with and without it being right equally often.
    """

    tta: str
    test: Score
    test_clean: Score
    p: float


class TrainRecord(Frozen, frozen=True):
    """What really ran. ``weights`` says in words what training started from.

    ``validation`` chose ``best_epoch``; ``test`` and ``test_clean`` (without the rows whose image also stands
    in the training split) were taken once, of that epoch; None where the data has no test split.
    ``test_augmented`` is what the recipe's test-time augmentation makes of it, None where it asks for none;
    ``test_sets`` scores each merged set's own test rows; ``teachers`` maps the files of teachers to their hashes.

    Schema history: 1 — first version. 2 — ``test_augmented``, ``test_sets``; which sets were merged; the
    recipe's settings for merged sets, frozen layers, momentum, class weights, oversampling, averages, precision and
    evaluation. A record of version 1 is read with their defaults, which are what it was made with. 3 — distillation:
    ``teachers``, and the recipe's settings for it. 4 — the request's
    ``models``. 5 — the data's ``votes_sha256``.
    """

    schema: int
    request: Request
    weights: str
    epochs: int
    best_epoch: int
    parameters: int
    validation: Score
    test: Score | None
    test_clean: Score | None
    seconds: float
    backend: str
    tools: dict[str, str]
    test_augmented: AugmentedScore | None = None
    test_sets: dict[str, Score] = msgspec.field(default_factory=dict)
    teachers: dict[str, str] = msgspec.field(default_factory=dict)


def data_used(dataset: Dataset) -> DataUsed:
    """Identify the rows of ``dataset``."""
    return DataUsed(
        name=dataset.name,
        labels=dataset.labels.source,
        synthetic=dataset.synthetic,
        rows={name: len(subset) for name, subset in dataset.splits.items()},
        sha256={name: subset.sha256 for name, subset in dataset.splits.items()},
        sets=dataset.sets,
        absent=dataset.absent,
        relabelled=dataset.relabelled,
        votes_sha256={name: _sha256(subset.soft) for name, subset in dataset.splits.items()},
    )


def _sha256(votes: npt.NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(votes, dtype="<f4").data).hexdigest()


def installed_tools() -> dict[str, str]:
    """Versions of the installed packages that decide a training run."""
    return {name: found for name in TOOLS if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs as CSV, one a line, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [field.name for field in msgspec.structs.fields(Epoch)], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(msgspec.to_builtins(epoch) for epoch in history)
    write_atomic(path, text.getvalue().encode())


def read_record(path: Path, kind: Any) -> Any:
    """Read back what ``write_record`` wrote of a ``kind`` into the folder of a run.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error})", hint="begin again with another --out"
        ) from error


def write_record(path: Path, record: Frozen) -> None:
    """Write a record as indented JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
