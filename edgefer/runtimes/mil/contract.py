"""Whether a package is the model that its contract describes, told from the saved specification alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from edgefer.contract import IOLike, LabelsLike, Loadable, ManifestLike
from edgefer.errors import VerificationError
from edgefer.runtimes.mil.model import Feature, Model
from edgefer.runtimes.mil.package import classes_of

LABEL = "classLabel"  # coremltools' fixed name for a classifier's answer
# coremltools, ``AvailableTarget``: the first systems that read a specification of this version.
MINIMUM_OS = {8: "iOS 17, macOS 14", 9: "iOS 18, macOS 15"}


class Fact(NamedTuple):
    """One thing that a specification says, in words, and what the contract says in the same words."""

    verb: str
    found: str
    stated: str


def minimum_os(manifest: ManifestLike) -> str:
    """The first systems that run an artifact, as its lineage states them; empty if it does not."""
    return next((str(s.config["minimum_os"]) for s in manifest.lineage if "minimum_os" in s.config), "")


def differences(model: Model, io: IOLike, labels: LabelsLike, system: str) -> list[str]:
    """In what ``model`` is another than one fed and read as ``io`` says, for ``system``.

    That is a classifier of ``labels``, or where ``io`` lists batch sizes a model of arrays, which names no classes.
    """
    return [
        f"{fact.verb} {fact.found or 'nothing'}; its contract says {fact.stated}"
        for fact in _facts(model, io, labels, system)
        if fact.found != fact.stated
    ]


def refuse_other(artifact: Loadable, model: Model) -> None:
    """Hold ``model``, what an artifact's package describes, against the contract attached to it.

    Raises:
        VerificationError: they differ; the message says in what.
    """
    manifest = artifact.manifest
    found = differences(model, manifest.io, manifest.labels, minimum_os(manifest))
    if found:
        raise VerificationError(
            f"{artifact.path}: {'. It also '.join(found)}",
            hint="the package was changed, or the contract is another model's; convert it again",
        )


def _facts(model: Model, io: IOLike, labels: LabelsLike, system: str) -> Iterator[Fact]:
    yield Fact("takes", ", ".join(map(_words, model.inputs)), _stated_input(io))
    returned = ", ".join(sorted(f"{output.name} ({output.kind})" for output in model.outputs))
    if io.batches:
        yield Fact("returns", returned, f"{io.output.name} (array)")
    else:
        yield Fact("returns", returned, f"{LABEL} (string), {io.output.name} (dictionary)")
        yield Fact(
            "declares as a classifier's label and probabilities",
            f"{model.label or 'no label'} and {model.probabilities or 'no probabilities'}",
            f"{LABEL} and {io.output.name}",
        )
        yield Fact("names the classes", ", ".join(classes_of(model)), ", ".join(labels.names))
    if system:
        yield Fact("needs", MINIMUM_OS.get(model.version, f"specification {model.version}"), system)


def _words(feature: Feature) -> str:
    if feature.kind == "image":
        height, width = feature.size
        return f"{feature.name} ({feature.color} image, {height}x{width})"
    return f"{feature.name} ({feature.data} {feature.kind}, {_either(feature.shapes)})"


def _stated_input(io: IOLike) -> str:
    shape = io.input.shape
    if io.batches or io.mode == "float":
        shapes = [(batch, *shape[1:]) for batch in io.batches] or [tuple(shape)]
        return f"{io.input.name} ({io.input.dtype} array, {_either(shapes)})"
    _, height, width, channels = shape
    return f"{io.input.name} ({'GRAYSCALE' if channels == 1 else 'RGB'} image, {height}x{width})"


def _either(shapes: Iterable[Sequence[int | None]]) -> str:
    return " or ".join("x".join(map(str, shape)) for shape in shapes)
