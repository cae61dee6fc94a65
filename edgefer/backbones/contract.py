"""What a model file cannot say itself, from its sidecar or from the user, held against the network's own shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgefer.backbones.base import SIDECAR_SUFFIX, Sidecar
from edgefer.errors import InputError
from edgefer.spec import Color, InputSpec, LabelSet, Step, parse_range


@dataclass(frozen=True)
class Statement:
    """What the user says about a model that says nothing itself.

    ``range``, as ``parse_range`` reads it, and ``color`` each go before a sidecar's word; ``labels`` may not contradict
    it. ``logits``: the outputs are logits, a softmax is to be added.
    """

    range: str | None = None
    color: Color | None = None
    labels: LabelSet | None = None
    logits: bool = False


NOTHING_SAID = Statement()


class Shapes(NamedTuple):
    """A network's input and number of classes."""

    height: int
    width: int
    channels: int
    classes: int


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar of a model: ``<stem>.edgefer.json``, else ``edgefer.json`` beside it or inside its folder.

    Raises:
        InputError: there is one that cannot be read.
    """
    inside = path / "edgefer.json" if path.is_dir() else path.with_name("edgefer.json")
    for candidate in (path.with_suffix(SIDECAR_SUFFIX), inside):
        if candidate.is_file():
            try:
                return msgspec.json.decode(candidate.read_bytes(), type=Sidecar)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(f"{candidate}: not a sidecar ({error})") from error
    return None


def contract_of(path: Path, model: Any, said: Statement, origin: str) -> Sidecar:
    """Input meaning, labels and lineage of an opened network.

    Raises:
        InputError: something is not stated, or what is stated does not fit the network.
    """
    shapes, sidecar = _shapes(path, model), read_sidecar(path)
    imported = Step(name="imported", config={"file": path.name, "origin": origin})
    lineage = sidecar.lineage if sidecar else (imported,)
    if said.logits:
        lineage = (*lineage, Step(name="softmax added", config={"reason": "--logits"}))
    return Sidecar(
        input=_input(path, shapes, sidecar, said),
        labels=_labels(path, shapes, sidecar, said),
        lineage=lineage,
    )


def _shapes(path: Path, model: Any) -> Shapes:
    if hasattr(model, "signatures"):
        signature = model.signatures["serving_default"]
        inputs = [tuple(s.shape) for s in signature.structured_input_signature[1].values()]
        outputs = [tuple(s.shape) for s in signature.structured_outputs.values()]
    else:
        inputs = [tuple(t.shape) for t in model.inputs]
        outputs = [tuple(t.shape) for t in model.outputs]
    if len(inputs) != 1 or len(inputs[0]) != 4 or len(outputs) != 1 or len(outputs[0]) != 2:
        raise InputError(
            f"{path}: inputs {inputs}, outputs {outputs}; one image in and one row of classes out is needed"
        )
    height, width, channels = inputs[0][1:]
    if not (height and width and channels in (1, 3) and outputs[0][1]):
        raise InputError(f"{path}: input shape {inputs[0]} is not fixed to height, width and 1 or 3 channels")
    return Shapes(height, width, channels, outputs[0][1])


def _labels(path: Path, shapes: Shapes, sidecar: Sidecar | None, said: Statement) -> LabelSet:
    labels = said.labels or (sidecar.labels if sidecar else None)
    if labels is None:
        raise InputError(
            f"{path}: says nothing about its classes", hint="give --labels, or a sidecar edgefer.json"
        )
    if len(labels) != shapes.classes:
        raise InputError(
            f"{path}: has {shapes.classes} outputs, the label set {labels.source} has {len(labels)} classes",
            hint="give the label set it was trained for with --labels",
        )
    if sidecar and labels.names != sidecar.labels.names:
        raise InputError(
            f"{path}: its sidecar says that its classes are {', '.join(sidecar.labels.names)}, in this order; "
            f"{labels.source} has {', '.join(labels.names)}",
            hint="leave --labels out, or correct the sidecar",
        )
    return labels


def _input(path: Path, shapes: Shapes, sidecar: Sidecar | None, said: Statement) -> InputSpec:
    try:
        spec = _stated(shapes, sidecar.input if sidecar else None, said)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if spec is None:
        raise InputError(
            f"{path}: says nothing about its input range",
            hint="give --range 0..1, -1..1, 0..255 or mean:M,M,M/std:S,S,S, or a sidecar edgefer.json",
        )
    if (spec.height, spec.width, spec.channels) != shapes[:3]:
        raise InputError(
            f"{path}: takes {shapes[:3]}, its sidecar says {(spec.height, spec.width, spec.channels)}"
        )
    return spec


def _stated(shapes: Shapes, spec: InputSpec | None, said: Statement) -> InputSpec | None:
    """The sidecar's ``spec`` with what the user says in its place, each word on its own."""
    if said.range is not None:
        spec = InputSpec(
            height=shapes.height,
            width=shapes.width,
            channels=3 if shapes.channels == 3 else 1,
            color=spec.color if spec else "gray",
            **parse_range(said.range, shapes.channels),
        )
    return msgspec.structs.replace(spec, color=said.color) if spec and said.color else spec
