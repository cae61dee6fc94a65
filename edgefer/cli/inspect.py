"""``edgefer inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.models import Said, open_model_alone
from edgefer.cli.options import data_options, model_options

if TYPE_CHECKING:
    from edgefer.spec import Lineage


@click.command(name="inspect")
@click.argument("path", metavar="MODEL|ARTIFACT", type=click.Path(path_type=Path))
@data_options
@model_options
@click.option(
    "--swift", is_flag=True, help="Print Swift code that runs a Core ML artifact, and nothing else."
)
@console.json_option
def command(path: Path, swift: bool, as_json: bool, **said: Any) -> None:
    """Show what a model or an artifact is: parameters, MACs, layers, input contract, labels, lineage.

    An artifact says all of it itself; of a foreign model, --range and --labels are what you state about it.
    """
    from edgefer.contract import SUFFIXES

    if swift:
        click.echo(_swift(path), nl=False)
        return
    facts = _artifact_facts(path) if path.suffix in SUFFIXES else _model_facts(path, Said(**said))
    if as_json:
        console.print_json(facts)
    else:
        _show(path, facts)


def _swift(path: Path) -> str:
    from edgefer.artifact import open_artifact
    from edgefer.errors import InputError
    from edgefer.formats.coreml_guide import swift

    if path.suffix != ".mlpackage":
        raise InputError(f"{path}: Swift code is there for Core ML artifacts", hint="give an .mlpackage")
    return swift(open_artifact(path).manifest)


def _artifact_facts(path: Path) -> dict[str, Any]:
    from edgefer.artifact import open_artifact

    artifact = open_artifact(path)
    manifest = artifact.manifest
    baseline = manifest.baseline
    return {
        "format": manifest.format,
        "name": manifest.name,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "cost": manifest.cost,
        "input": manifest.input,
        "io": manifest.io,
        "labels": manifest.labels,
        "baseline": {
            "data": baseline.data,
            "synthetic": baseline.synthetic,
            "n": baseline.full.n,
            "weighted_f1": baseline.full.weighted_f1,
            "macro_f1": baseline.full.macro_f1,
        }
        if baseline
        else None,
        "golden": manifest.golden,
        "lineage": manifest.lineage,
        "tools": manifest.tools,
    }


def _model_facts(path: Path, said: Said) -> dict[str, Any]:
    from edgefer.backbones.merging import converted_cost

    backbone = open_model_alone(path, said)
    layers = (
        [layer.__class__.__name__ for layer in backbone.model._flatten_layers()] if backbone.trainable else []
    )
    return {
        "name": backbone.name,
        "sha256": backbone.sha256,
        "cost": converted_cost(backbone.model) if backbone.trainable else None,
        "input": backbone.input,
        "labels": backbone.labels,
        "layers": {kind: layers.count(kind) for kind in sorted(set(layers))},
        "lineage": backbone.lineage,
    }


def _show(path: Path, facts: dict[str, Any]) -> None:
    spec, cost = facts["input"], facts["cost"]
    rows: list[tuple[str, Any]] = [("format", facts.get("format", "model")), ("sha256", facts["sha256"])]
    if "bytes" in facts:
        rows.append(("size", f"{facts['bytes'] / 1000:,.1f} kB"))
    if cost:
        rows += [
            ("parameters", f"{cost.parameters:,}"),
            ("MACs an image", f"{cost.macs:,}"),
            ("layers", cost.layers),
        ]
    else:
        rows.append(("parameters", "not counted: a SavedModel is a graph without layers"))
    rows += [
        (
            "backbone input",
            f"{spec.height}x{spec.width}x{spec.channels} {spec.color}, pixels 0..255 to {spec.describe_range()}",
        ),
        ("labels", f"{', '.join(facts['labels'].names)} ({facts['labels'].source})"),
        *_io_rows(facts),
    ]
    console.print_table(str(path), ("", ""), rows)
    console.print_table("Lineage", ("step", "seconds", "settings"), _lineage_rows(facts["lineage"]))


def _io_rows(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    if "io" not in facts:
        return [("layer types", ", ".join(f"{count} {kind}" for kind, count in facts["layers"].items()))]
    io, golden, baseline = facts["io"], facts["golden"], facts["baseline"]
    rows = [
        (f"file {end} ({io.mode})" if end == "input" else f"file {end}", _tensor(getattr(io, end)))
        for end in ("input", "output")
    ]
    rows.append(("golden", f"{golden.count} images of {golden.source}, spread {golden.spread:.2f}"))
    if baseline:
        mark = ", synthetic" if baseline["synthetic"] else ""
        rows.append(
            (
                "float baseline",
                f"weighted F1 {baseline['weighted_f1']:.4f}, macro {baseline['macro_f1']:.4f} "
                f"({baseline['n']} test rows of {baseline['data']}{mark})",
            )
        )
    return rows


def _tensor(tensor: Any) -> str:
    shape = "x".join("N" if n is None else str(n) for n in tensor.shape)
    quantized = "" if tensor.scale is None else f", scale {tensor.scale:g}, zero point {tensor.zero_point}"
    return f"{tensor.name}: {tensor.dtype} {shape}{quantized}"


def _lineage_rows(lineage: Lineage) -> list[tuple[str, str, str]]:
    return [(s.name, f"{s.seconds:.1f}", ", ".join(f"{k}={v}" for k, v in s.config.items())) for s in lineage]
