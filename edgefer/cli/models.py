"""Opening a model with what the user says about it and about the data: shared by convert and inspect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgefer.errors import InputError
from edgefer.registry import suggestion

if TYPE_CHECKING:
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.base import Dataset, Split
    from edgefer.recipe import DataPart
    from edgefer.spec import LabelSet, Lineage


@dataclass(frozen=True)
class Said:
    """What the command line says about a model: the options of ``model_options`` and ``data_options``."""

    data: str | None
    labels: str | None
    range_: str | None
    color: str | None
    logits: bool
    trust: bool


def open_model(model: Path, said: Said) -> tuple[Backbone, Dataset | None]:
    """The backbone, and the user's data at its input size (None if there is none)."""
    from edgefer.datasets.loading import load

    backbone = open_model_alone(model, said)
    if not said.data:
        return backbone, None
    labels = said.labels or backbone.labels.source
    dataset = load(said.data, labels, **image_shape(backbone))
    dataset.require_classes(backbone.labels.names, str(model))
    warn_of_trained_rows(backbone, dataset)
    return backbone, dataset


class Trained(Protocol):
    """A backbone, or what was made of one."""

    @property
    def name(self) -> str:
        """What notes call it."""

    @property
    def lineage(self) -> Lineage:
        """How it was made."""


def warn_of_trained_rows(backbone: Trained, dataset: Dataset, split: Split = "test") -> None:
    """Say so where a backbone was most likely trained on the rows it is about to be scored on."""
    from edgefer.cli import console
    from edgefer.datasets.scoring import may_have_been_trained_on

    rows = dataset.splits.get(split)
    if rows is not None and may_have_been_trained_on(backbone.lineage, rows):
        console.note(
            f"{backbone.name} was trained on rows dealt otherwise, most likely on many of these {split} rows of "
            f"{dataset.name}: its scores on them prove nothing ('edgefer evaluate --recipe ID', with its training's "
            "--set, scores the kept ones)"
        )


def image_shape(backbone: Backbone) -> dict[str, Any]:
    """How data is loaded for a backbone: its ``size`` (height, width) and pixel ``channels``."""
    return {
        "size": (backbone.input.height, backbone.input.width),
        "channels": backbone.input.pixel_channels,
    }


def open_model_alone(model: Path, said: Said) -> Backbone:
    """The backbone with what the file, its sidecar and the command line say about it."""
    from edgefer.backbones.contract import Statement, read_sidecar
    from edgefer.backbones.loading import load_backbone
    from edgefer.backbones.startup import start_keras

    sidecar = read_sidecar(model)
    stated = _label_set(said) if said.labels or not sidecar else None
    statement = Statement(range=said.range_, color=said.color, labels=stated, logits=said.logits)  # type: ignore[arg-type]
    start_keras()
    return load_backbone(model, statement, trust=said.trust)


def open_model_of(part: DataPart | None, model: Path, said: Said) -> Backbone:
    """The same; a model that does not say its classes has those of a recipe's data, where there is a recipe."""
    from edgefer.backbones.contract import read_sidecar

    if part and not read_sidecar(model):
        said = replace(said, labels=part.labels)
    return open_model_alone(model, said)


def _label_set(said: Said) -> LabelSet | None:
    """The classes that ``--labels`` or the data name."""
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.datasets.loading import load

    if said.labels in LABEL_SETS:
        return LABEL_SETS[said.labels]
    if said.data:
        return load(said.data, said.labels).labels
    if said.labels:
        raise InputError(f"unknown label set {said.labels!r}", hint=suggestion(said.labels, LABEL_SETS))
    return None
