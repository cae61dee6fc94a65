"""The networks that a recipe names: its teachers, and the one that it trains further."""

from __future__ import annotations

from pathlib import Path

from edgefer.backbones.contract import read_sidecar
from edgefer.files import sha256_of
from edgefer.recipe import Recipe
from edgefer.spec import Lineage

FURTHER = "file"
"""The family of networks that are trained already."""


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


def _trained_further(recipe: Recipe) -> tuple[str, ...]:
    backbone = recipe.backbone
    return (backbone.weights,) if backbone.family == FURTHER else ()
