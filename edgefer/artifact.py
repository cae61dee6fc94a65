"""An artifact: one file (or Core ML package) that carries its own contract.

The contract travels inside the file and is readable without the container's own library:

==========  ==============================================================================================
container   where it stands
==========  ==============================================================================================
tflite      a ZIP archive appended to the flatbuffer, the way TFLite Metadata attaches files; every runtime
            ignores it
onnx        ``metadata_props`` appended to the model protobuf; concatenated messages merge, by protobuf's
            definition
coreml      user-defined metadata appended to the ``.mlmodel`` protobuf of the package, likewise
==========  ==============================================================================================

So the converter's bytes (the *payload*) stay as they were, and their hash is part of the contract.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgefer.contract import (
    CHECKSUM_FILE,
    GOLDEN_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    SUFFIXES,
    Container,
    Golden,
    Parts,
    check_tensor,
    differences,
    read_parts,
    unreadable,
)
from edgefer.embedding import attach
from edgefer.files import replace, sha256_of, size_of, workspace
from edgefer.metrics import Score
from edgefer.spec import Cost, Frozen, InputSpec, LabelSet, Lineage

IOMode = Literal["raw", "float"]


class TensorSpec(Frozen, frozen=True):
    """One end of a model. ``shape`` has None for the batch; real = (stored - zero_point) * scale if quantized."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None

    def __post_init__(self) -> None:
        check_tensor(self.dtype, self.scale, self.zero_point)


class IOSpec(Frozen, frozen=True):
    """How the file wants to be fed and read.

    ``mode`` "raw": the input is uint8 (or, shifted by its zero point, int8) pixels (N, H, W, pixel channels);
    "float": the backbone's own floats (N, H, W, channels), possibly quantized. ``batches`` are the only numbers of
    images that a call may have, where a file lists them; empty: what the input's shape says.
    """

    mode: IOMode
    input: TensorSpec
    output: TensorSpec
    batches: tuple[int, ...] = ()


class Baseline(Frozen, frozen=True):
    """The float backbone's score on the test split of ``data``, in full and without rows leaked from training."""

    data: str
    synthetic: bool
    full: Score
    clean: Score


class GoldenInfo(Frozen, frozen=True):
    """What the golden tensors are: raw uint8 images, and the *float backbone's* probabilities for them.

    ``spread`` is the largest difference between two golden outputs of one class; outputs that do not spread prove
    nothing (a constant network passes any comparison).
    """

    count: int
    source: str
    spread: float
    inputs_sha256: str
    outputs_sha256: str


class Manifest(Frozen, frozen=True):
    """The contract inside an artifact."""

    schema: int
    format: str
    name: str
    payload_sha256: str
    backbone_sha256: str
    input: InputSpec
    io: IOSpec
    labels: LabelSet
    lineage: Lineage
    golden: GoldenInfo
    tools: dict[str, str]
    baseline: Baseline | None = None
    cost: Cost | None = None


@dataclass(frozen=True)
class Artifact:
    """An artifact as found on disk. ``sha256`` and ``bytes`` are of everything that is shipped."""

    path: Path
    container: Container
    sha256: str
    bytes: int
    manifest: Manifest
    golden: Golden

    @property
    def format(self) -> str:
        """Format id, ``<container>-<precision>``."""
        return self.manifest.format


def open_artifact(path: Path) -> Artifact:
    """Read an artifact and check that it is whole.

    Raises:
        InputError: missing, of no known container, truncated, or without a contract.
        VerificationError: the payload or the golden tensors do not have the hashes that the contract states.
    """
    parts = read_parts(path)
    artifact = _assembled(parts)
    manifest, golden = artifact.manifest, artifact.manifest.golden
    size = (manifest.input.height, manifest.input.width)
    parts.check(
        manifest.payload_sha256, golden.inputs_sha256, golden.outputs_sha256, manifest.labels.names, size
    )
    return artifact


def open_damaged(path: Path) -> Artifact:
    """An artifact whose hashes nobody asked for: to say what is wrong with one that ``open_artifact`` refuses.

    Raises:
        InputError: as ``open_artifact`` does.
    """
    return _assembled(read_parts(path))


def _assembled(parts: Parts) -> Artifact:
    path = parts.path
    try:
        manifest = msgspec.json.decode(parts.manifest, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    return Artifact(path, parts.container, sha256_of(path), size_of(path), manifest, parts.golden)


def write_artifact(out: Path, payload: Path, manifest: Manifest, golden: Golden) -> Artifact:
    """Write ``payload`` (a converter's file or package) with its contract to ``out``, atomically."""
    container = SUFFIXES[out.suffix]
    contract = msgspec.json.encode(manifest, order="deterministic")
    files = {
        MANIFEST_FILE: contract,
        CHECKSUM_FILE: hashlib.sha256(contract).hexdigest().encode(),
        LABELS_FILE: "\n".join(manifest.labels.names).encode() + b"\n",
        GOLDEN_FILE: _encode_golden(golden),
    }
    with workspace(out) as work:
        attach(container, payload, files, work / out.name)
        open_artifact(work / out.name)
        replace(work / out.name, out)
    return open_artifact(out)


def _encode_golden(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("input_differences", differences(golden.inputs)), ("outputs", golden.outputs)):
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            # numpy's own savez stamps the time of day; equal input must give equal bytes.
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)),
                content.getvalue(),
                zipfile.ZIP_DEFLATED,
                compresslevel=9,
            )
    return buffer.getvalue()
