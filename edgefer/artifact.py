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
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer.embedding import attach, detach
from edgefer.errors import InputError, VerificationError
from edgefer.files import replace, sha256_of, size_of, workspace
from edgefer.metrics import Score
from edgefer.spec import Cost, Frozen, InputSpec, LabelSet, Lineage

MANIFEST_SCHEMA = 1
MANIFEST_FILE = "edgefer.json"
LABELS_FILE = "labels.txt"
GOLDEN_FILE = "golden.npz"

Container = Literal["tflite", "onnx", "coreml"]
IOMode = Literal["raw", "float"]


class TensorSpec(Frozen, frozen=True):
    """One end of a model. ``shape`` has None for the batch; real = (stored - zero_point) * scale if quantized."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None


class IOSpec(Frozen, frozen=True):
    """How the file wants to be fed and read.

    ``mode`` "raw": the input is uint8 (or, shifted by its zero point, int8) pixels (N, H, W, pixel channels);
    "float": the backbone's own floats (N, H, W, channels), possibly quantized.
    """

    mode: IOMode
    input: TensorSpec
    output: TensorSpec


class Baseline(Frozen, frozen=True):
    """The float backbone's score on the test split of ``data``, in full and without rows leaked from training.

    ``predictions`` are its class numbers on the full split, in order.
    """

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
class Golden:
    """Golden tensors: ``inputs`` uint8 (N, H, W, pixel channels), ``outputs`` float32 (N, classes)."""

    inputs: npt.NDArray[np.uint8]
    outputs: npt.NDArray[np.float32]


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


SUFFIXES: dict[str, Container] = {".tflite": "tflite", ".onnx": "onnx", ".mlpackage": "coreml"}


def open_artifact(path: Path) -> Artifact:
    """Read an artifact and check that it is whole.

    Raises:
        InputError: missing, of no known container, truncated, or without a contract.
        VerificationError: the payload or the golden tensors do not have the hashes that the contract states.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: not an artifact", hint=f"artifacts end in {', '.join(SUFFIXES)}")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    container = SUFFIXES[path.suffix]
    attached = detach(container, path)
    if MANIFEST_FILE not in attached.files:
        raise InputError(
            f"{path}: carries no edgefer contract: cut off, or made by another tool",
            hint="make it with 'edgefer convert'",
        )
    manifest, golden = _decode(path, attached.files)
    if manifest.payload_sha256 != attached.payload_sha256:
        raise VerificationError(
            f"{path}: the model does not have the hash its contract states",
            hint="the file was damaged or changed; copy or convert it again",
        )
    return Artifact(path, container, sha256_of(path), size_of(path), manifest, golden)


def write_artifact(out: Path, payload: Path, manifest: Manifest, golden: Golden) -> Artifact:
    """Write ``payload`` (a converter's file or package) with its contract to ``out``, atomically."""
    container = SUFFIXES[out.suffix]
    files = {
        MANIFEST_FILE: msgspec.json.encode(manifest, order="deterministic"),
        LABELS_FILE: "\n".join(manifest.labels.names).encode() + b"\n",
        GOLDEN_FILE: _encode_golden(golden),
    }
    with workspace(out) as work:
        attach(container, payload, files, work / out.name)
        open_artifact(work / out.name)
        replace(work / out.name, out)
    return open_artifact(out)


def golden_sha256(array: npt.NDArray[Any]) -> str:
    """Hash of a golden tensor with its shape and dtype."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _decode(path: Path, files: dict[str, bytes]) -> tuple[Manifest, Golden]:
    try:
        manifest = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest)
        with np.load(io.BytesIO(files[GOLDEN_FILE]), allow_pickle=False) as arrays:
            golden = Golden(arrays["inputs"], arrays["outputs"])
    except (msgspec.DecodeError, KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: its contract cannot be read ({error})", hint="convert it again") from error
    stated = (manifest.golden.inputs_sha256, manifest.golden.outputs_sha256)
    if stated != (golden_sha256(golden.inputs), golden_sha256(golden.outputs)):
        raise VerificationError(
            f"{path}: the golden tensors do not have the hashes the contract states",
            hint="the file was damaged or changed; copy or convert it again",
        )
    if files.get(LABELS_FILE, b"").decode().split("\n")[:-1] != list(manifest.labels.names):
        raise VerificationError(
            f"{path}: {LABELS_FILE} and the contract name different labels",
            hint="the file was changed; convert it again",
        )
    return manifest, golden


def _encode_golden(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("inputs", golden.inputs), ("outputs", golden.outputs)):
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            # numpy's own savez stamps the time of day; equal input must give equal bytes.
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)),
                content.getvalue(),
                zipfile.ZIP_DEFLATED,
            )
    return buffer.getvalue()
