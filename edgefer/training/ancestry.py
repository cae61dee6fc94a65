"""The networks that a recipe names: its teachers, and the one that it trains further."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefer.backbones.contract import read_sidecar
from edgefer.errors import SettingError
from edgefer.files import sha256_of
from edgefer.recipe import Recipe
from edgefer.spec import InputSpec, LabelSet, Lineage

FURTHER = "file"
"""The family of networks that are trained already."""
_ON_PURPOSE = ", or start from a copy without the sidecar if the change is meant"


def models_named(recipe: Recipe) -> dict[str, str]:
    """Hashes of the files of other networks that a recipe names, by their names there, as far as they exist."""
    distillation = recipe.training.distillation
    named = (*(distillation.teachers if distillation else ()), *_trained_further(recipe))
    paths = {name: Path(name).expanduser() for name in named}
    return {name: sha256_of(path) for name, path in paths.items() if path.exists()}


def lineage_before(recipe: Recipe) -> Lineage:
    """How the network that training starts from was made: of a file, what its sidecar says; of others nothing."""
    sidecars = [read_sidecar(Path(name).expanduser()) for name in _trained_further(recipe)]
    return next((sidecar.lineage for sidecar in sidecars if sidecar), ())


def check_further(recipe: Recipe, labels: LabelSet) -> None:
    """Hold the sidecar of a network that is trained further against the recipe's input and the data's classes.

    Sizes and numbers of classes are the network's own to say, which is opened later.

    Raises:
        SettingError: the network was trained for pixels in another range or colour, or classes in another order.
    """
    for name in _trained_further(recipe):
        path = Path(name).expanduser()
        if path.is_file() and (sidecar := read_sidecar(path)):
            _check_input(name, sidecar.input, recipe.input)
            _check_classes(name, sidecar.labels, labels)


def _check_input(file: str, its: InputSpec, ours: InputSpec) -> None:
    if its.channels != ours.channels:
        return
    if not np.allclose((its.scale, its.offset), (ours.scale, ours.offset)):
        said, given, key = its.describe_range(), ours.describe_range(), "range" if ours.range else "mean"
    elif its.color != ours.color:
        said, given, key = its.color, ours.color, "color"
    else:
        return
    raise SettingError(
        f"{file}: its sidecar says that it takes {said}; the recipe gives {given}",
        key=f"input.{key}",
        hint=f"give it the input it was trained for{_ON_PURPOSE}",
    )


def _check_classes(file: str, its: LabelSet, ours: LabelSet) -> None:
    if len(its) == len(ours) and its.names != ours.names:
        raise SettingError(
            f"{file}: its classes are {', '.join(its.names)}; the data's are {', '.join(ours.names)}",
            key="data.labels",
            hint=f"train it further on the same classes in the same order{_ON_PURPOSE}",
        )


def _trained_further(recipe: Recipe) -> tuple[str, ...]:
    backbone = recipe.backbone
    return (backbone.weights,) if backbone.family == FURTHER else ()
