"""An ``.mlpackage`` folder: what it describes, and its program ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from edgefer.embedding import MLMODEL
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.runtimes.mil.blob import WeightFile
from edgefer.runtimes.mil.executor import Executor
from edgefer.runtimes.mil.model import Feature, Model, read_model
from edgefer.runtimes.mil.operation import Array
from edgefer.runtimes.mil.program import Weights, prepare

_MODEL_PATH = "@model_path"


@dataclass(frozen=True)
class Package:
    """``classes`` are a classifier's, in the order of its probabilities; empty if it is none."""

    path: Path
    model: Model
    executor: Executor
    classes: tuple[str, ...]

    @property
    def input(self) -> Feature:
        """The only input.

        Raises:
            InputError: it has several.
        """
        if len(self.model.inputs) != 1:
            names = ", ".join(feature.name for feature in self.model.inputs)
            raise InputError(f"{self.path}: has {len(self.model.inputs)} inputs ({names}); one can be fed")
        return self.model.inputs[0]

    def feed(self, images: Array) -> dict[str, Array]:
        """Floats (N, H, W, C) as the program takes them: an image (N, C, H, W) in the package's colour order.

        Raises:
            InputError: the package has several inputs.
        """
        taken = self.input
        if taken.kind == "image":
            ordered = images[..., ::-1] if taken.color == "BGR" else images
            images = np.moveaxis(ordered, -1, 1)
        return {taken.name: images}


def describe(path: Path) -> Model:
    """What the package at ``path`` holds, without its weights.

    Raises:
        InputError: no package, damaged, or no ML Program.
    """
    file = path / MLMODEL
    try:
        return read_model(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror})", hint="copy the whole folder"
        ) from error
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(f"{file}: damaged, or not what can be read here ({error})", hint=_AGAIN) from error


def open_package(path: Path) -> Package:
    """Read the package at ``path`` whole and make its program ready.

    Raises:
        TargetUnavailableError: the program has an operation that is not known here.
        InputError: no package, or damaged.
    """
    model = describe(path)
    try:
        executor = Executor(prepare(model, _weights(path)))
    except (InputError, TargetUnavailableError) as error:
        said = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise type(error)(said, hint=error.hint) from error
    return Package(path, model, executor, classes_of(model))


def _weights(path: Path) -> Weights:
    """The package's weight files by the names that its program uses, each read once."""
    folder = (path / MLMODEL).parent

    @cache
    def named(name: str) -> WeightFile:
        parts = PurePosixPath(name).parts
        if parts[:1] != (_MODEL_PATH,) or ".." in parts:
            raise InputError(
                f"{path}: its program refers to {name}, which is not in the package", hint=_AGAIN
            )
        return WeightFile(folder.joinpath(*parts[1:]))

    return named


def classes_of(model: Model) -> tuple[str, ...]:
    """The class names of the program's ``classify`` operation, in the order of its probabilities."""
    found: list[npt.NDArray[Any]] = [
        binding
        for operation in model.operations
        if operation.type == "classify"
        for binding in operation.inputs["classes"]
        if isinstance(binding, np.ndarray)
    ]
    return tuple(str(name) for names in found for name in names)


_AGAIN = "copy or convert it again"
