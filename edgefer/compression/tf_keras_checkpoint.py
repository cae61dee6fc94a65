"""Where a training of a tf_keras network stands: one file, replaced in one step after each epoch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError
from edgefer.files import write_atomic
from edgefer.spec import Frozen

NAME = "tuning.npz"
Values = list[npt.NDArray[Any]]


class Epoch(Frozen, frozen=True):
    """One epoch: mean training loss, and cross-entropy in nats and weighted F1 on the validation split."""

    number: int
    loss: float
    validation_loss: float
    validation_weighted_f1: float
    seconds: float


History = tuple[Epoch, ...]


def values_of(variables: Sequence[Any]) -> Values:
    """Copies of the variables' values, in order."""
    return [np.array(variable) for variable in variables]


def assign(variables: Sequence[Any], values: Values) -> None:
    """Set the variables, in order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save(folder: Path, history: History, variables: Sequence[Any], best: Values) -> None:
    """Write the history, all ``variables`` of network and optimizer, and the ``best`` epoch's network."""
    arrays = {f"now_{i}": value for i, value in enumerate(values_of(variables))}
    arrays |= {f"best_{i}": value for i, value in enumerate(best)}
    written = io.BytesIO()
    np.savez(written, history=np.frombuffer(msgspec.json.encode(history), np.uint8), **arrays)  # type: ignore[arg-type]
    write_atomic(folder / NAME, written.getvalue())


def restore(folder: Path, variables: Sequence[Any]) -> tuple[History, Values]:
    """Set ``variables`` to what ``save`` wrote; return the history and the best epoch's network.

    Without a file nothing is set and both are empty.

    Raises:
        InputError: the file cannot be read, or belongs to another network.
    """
    path = folder / NAME
    if not path.exists():
        return (), []
    try:
        with np.load(path) as file:
            history = msgspec.json.decode(file["history"].tobytes(), type=History)
            now, best = (_numbered(file, prefix) for prefix in ("now", "best"))
        fits = [value.shape for value in now] == [tuple(variable.shape) for variable in variables]
        if not fits:
            raise ValueError("it belongs to another network")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise InputError(
            f"{path}: cannot be gone on with ({error})", hint="remove the file to begin the training anew"
        ) from error
    assign(variables, now)
    return history, best


def _numbered(file: Any, prefix: str) -> Values:
    count = sum(name.startswith(f"{prefix}_") for name in file.files)
    return [file[f"{prefix}_{i}"] for i in range(count)]
