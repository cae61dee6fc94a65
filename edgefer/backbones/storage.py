"""Writes a backbone to disk: a Keras file and the sidecar that says what the file cannot."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from edgefer.backbones.base import SIDECAR_SUFFIX, Backbone, Sidecar
from edgefer.errors import InputError
from edgefer.files import sha256_of


def sidecar_path(model: Path) -> Path:
    """``model.keras`` → ``model.edgefer.json``, in the same folder."""
    return model.with_name(model.stem + SIDECAR_SUFFIX)


def save_backbone(backbone: Backbone, path: Path) -> Backbone:
    """Write ``path`` (``….keras``) and its sidecar; return the backbone with the written file's hash.

    Both files are complete before either takes its place.

    Raises:
        InputError: ``path`` does not end in ``.keras``, or the backbone is no Keras model.
    """
    if path.suffix != ".keras" or not backbone.trainable:
        raise InputError(f"{path}: only Keras models are saved, as .keras files")
    sidecar = Sidecar(input=backbone.input, labels=backbone.labels, lineage=backbone.lineage)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        model, beside = Path(folder) / path.name, Path(folder) / "sidecar.json"
        backbone.model.save(model)
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(sidecar), indent=2) + b"\n")
        model.replace(path)
        beside.replace(sidecar_path(path))
    return replace(backbone, name=path.stem, sha256=sha256_of(path))
