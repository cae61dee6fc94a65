"""An artifact's contract as far as running the file needs it, read with the standard library and numpy alone.

It is shipped to devices. Where msgspec is at hand, ``edgefer.artifact`` reads the whole contract, strictly, on top of
the same parts and the same checks.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgefer.embedding import DAMAGE, detach, refuse_bomb
from edgefer.errors import InputError, VerificationError
from edgefer.pixels import PixelSpec, channels_of, offset_of, scale_of

TENSOR_TYPES = ("uint8", "int8", "int16", "float16", "float32")
"""What the ends of a file may hold."""

MANIFEST_FILE = "edgefer.json"
MANIFEST_SCHEMA = 1
LABELS_FILE = "labels.txt"
GOLDEN_FILE = "golden.npz"
CHECKSUM_FILE = "edgefer.json.sha256.txt"
"""SHA-256 of ``MANIFEST_FILE`` in hex. Files made before it was written have none."""

Container = Literal["tflite", "onnx", "coreml"]
SUFFIXES: dict[str, Container] = {".tflite": "tflite", ".onnx": "onnx", ".mlpackage": "coreml"}


@dataclass(frozen=True)
class Golden:
    """Golden tensors: ``inputs`` uint8 (N, H, W, pixel channels), ``outputs`` float32 (N, classes)."""

    inputs: npt.NDArray[np.uint8]
    outputs: npt.NDArray[np.float32]


class TensorLike(Protocol):
    """One end of a model; ``edgefer.artifact.TensorSpec`` says what each value means."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> Sequence[int | None]: ...
    @property
    def scale(self) -> float | None: ...
    @property
    def zero_point(self) -> int | None: ...


class IOLike(Protocol):
    """How a file wants to be fed and read; ``edgefer.artifact.IOSpec`` says what each value means."""

    @property
    def mode(self) -> str: ...
    @property
    def input(self) -> TensorLike: ...
    @property
    def output(self) -> TensorLike: ...
    @property
    def batches(self) -> Sequence[int]: ...


class LabelsLike(Protocol):
    """Class names in output order."""

    @property
    def names(self) -> Sequence[str]: ...


class StepLike(Protocol):
    """One entry of a lineage."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


class ManifestLike(Protocol):
    """The part of a manifest that running a file needs."""

    @property
    def format(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def input(self) -> PixelSpec: ...
    @property
    def io(self) -> IOLike: ...
    @property
    def labels(self) -> LabelsLike: ...
    @property
    def lineage(self) -> Sequence[StepLike]: ...


class Loadable(Protocol):
    """An artifact that a runtime can open: ``edgefer.artifact.Artifact``, or a ``DeviceFile``."""

    @property
    def path(self) -> Path: ...
    @property
    def container(self) -> str: ...
    @property
    def manifest(self) -> ManifestLike: ...
    @property
    def golden(self) -> Golden: ...


@dataclass(frozen=True)
class Parts:
    """What stands in an artifact, not yet held against each other."""

    path: Path
    container: Container
    payload_sha256: str
    manifest: bytes
    golden: Golden
    labels: tuple[str, ...]
    manifest_sha256: str = ""

    def check(
        self, payload: str, inputs: str, outputs: str, labels: Sequence[str], size: tuple[int, int]
    ) -> None:
        """Hold what is there against what the contract states; ``size`` is its input's (height, width).

        Raises:
            VerificationError: a hash, the labels or the shapes of the golden tensors differ.
        """
        if self.manifest_sha256 not in ("", hashlib.sha256(self.manifest).hexdigest()):
            raise VerificationError(
                f"{self.path}: the contract does not have the hash that stands beside it",
                hint="the file was damaged or changed; copy or convert it again",
            )
        found = (golden_sha256(self.golden.inputs), golden_sha256(self.golden.outputs))
        if found != (inputs, outputs):
            raise VerificationError(
                f"{self.path}: the golden tensors do not have the hashes the contract states",
                hint="the file was damaged or changed; copy or convert it again",
            )
        if self.labels != tuple(labels):
            raise VerificationError(
                f"{self.path}: {LABELS_FILE} and the contract name different labels",
                hint="the file was changed; convert it again",
            )
        if not self._golden_fits(len(labels), size):
            raise VerificationError(
                f"{self.path}: the golden tensors are no images of {size[0]}x{size[1]} with probabilities of "
                f"{len(labels)} classes: {self.golden.inputs.shape} and {self.golden.outputs.shape}",
                hint="the file was changed; convert it again",
            )
        if self.payload_sha256 != payload:
            raise VerificationError(
                f"{self.path}: the model does not have the hash its contract states",
                hint="the file was damaged or changed; copy or convert it again",
            )

    def _golden_fits(self, classes: int, size: tuple[int, int]) -> bool:
        inputs, outputs = self.golden.inputs, self.golden.outputs
        images = inputs.dtype == np.uint8 and inputs.ndim == 4 and inputs.shape[1:3] == size
        return images and outputs.dtype == np.float32 and outputs.shape == (len(inputs), classes)


def read_parts(path: Path) -> Parts:
    """Take an artifact's attached files out of it.

    Raises:
        InputError: missing, of no known container, truncated, without a contract, or with one of another schema.
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
    _refuse_other_schemas(path, attached.files[MANIFEST_FILE])
    try:
        golden = _golden(path, attached.files[GOLDEN_FILE])
        labels = tuple(attached.files.get(LABELS_FILE, b"").decode().split("\n")[:-1])
        checksum = attached.files.get(CHECKSUM_FILE, b"").decode()
    except DAMAGE as error:
        raise unreadable(path, error) from error
    return Parts(
        path, container, attached.payload_sha256, attached.files[MANIFEST_FILE], golden, labels, checksum
    )


def _golden(path: Path, content: bytes) -> Golden:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        refuse_bomb(path, archive)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Golden(from_differences(arrays["input_differences"]), arrays["outputs"])


def _refuse_other_schemas(path: Path, contract: bytes) -> None:
    """Say so where a later edgefer wrote the contract, rather than that its keys are unknown."""
    try:
        schema = json.loads(contract)["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    if schema != MANIFEST_SCHEMA:
        raise InputError(
            f"{path}: contract schema {schema}, this edgefer reads {MANIFEST_SCHEMA}",
            hint="use the edgefer that made it, or convert again",
        )


def unreadable(path: Path, error: Exception) -> InputError:
    """The error of a contract that is there and makes no sense."""
    return InputError(f"{path}: its contract cannot be read ({error})", hint="convert it again")


def differences(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Each pixel of images (N, H, W, C) less its left one, and that less the one above: a fifth shorter once packed."""
    beside = np.diff(images, axis=2, prepend=np.uint8(0))
    return np.diff(beside, axis=1, prepend=np.uint8(0))


def from_differences(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The images whose ``differences`` these are; like them modulo 256."""
    beside = np.cumsum(values, axis=1, dtype=np.uint8)
    return np.cumsum(beside, axis=2, dtype=np.uint8)


def golden_sha256(array: npt.NDArray[Any]) -> str:
    """Hash of a golden tensor with its shape and dtype."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


@dataclass(frozen=True)
class DeviceInput:
    """``InputSpec`` without msgspec."""

    height: int
    width: int
    channels: int
    color: str = "gray"
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    dtype: str = "float32"
    resize: str = "bilinear"
    layout: str = "NHWC"

    @property
    def pixel_channels(self) -> int:
        """Channels of the image itself."""
        return channels_of(self.color)

    @property
    def scale(self) -> tuple[float, ...]:
        """Factor per backbone channel."""
        return scale_of(self.range, self.std, self.channels)

    @property
    def offset(self) -> tuple[float, ...]:
        """Summand per backbone channel."""
        return offset_of(self.range, self.mean, self.std, self.channels)


def check_tensor(dtype: str, scale: float | None, zero_point: int | None) -> None:
    """Refuse what is no number type, or no quantization of integers.

    Raises:
        ValueError: it is so.
    """
    if dtype not in TENSOR_TYPES:
        raise ValueError(f"dtype {dtype!r} is none of {', '.join(TENSOR_TYPES)}")
    if scale is None and zero_point is None:
        return
    if scale is None or zero_point is None or not 0 < scale < float("inf") or dtype.startswith("float"):
        raise ValueError(f"scale {scale} and zero point {zero_point} quantize no {dtype}")


@dataclass(frozen=True)
class DeviceTensor:
    """``TensorSpec`` without msgspec."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None

    def __post_init__(self) -> None:
        check_tensor(self.dtype, self.scale, self.zero_point)


@dataclass(frozen=True)
class DeviceIO:
    """``IOSpec`` without msgspec."""

    mode: str
    input: DeviceTensor
    output: DeviceTensor
    batches: tuple[int, ...] = ()


@dataclass(frozen=True)
class DeviceLabels:
    """``LabelSet`` without msgspec."""

    source: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class DeviceStep:
    """``Step`` without msgspec."""

    name: str
    config: dict[str, Any]


@dataclass(frozen=True)
class DeviceManifest:
    """``Manifest`` without msgspec, and without what only a report needs."""

    format: str
    name: str
    input: DeviceInput
    io: DeviceIO
    labels: DeviceLabels
    lineage: tuple[DeviceStep, ...]


@dataclass(frozen=True)
class DeviceFile:
    """An artifact as a device opens it."""

    path: Path
    container: Container
    manifest: DeviceManifest
    golden: Golden


def open_on_device(path: Path) -> DeviceFile:
    """Read an artifact and check that it is whole, as ``edgefer.artifact.open_artifact`` does, without msgspec.

    Raises:
        InputError: missing, of no known container, truncated, or without a contract.
        VerificationError: the payload, the labels or the golden tensors are not what the contract states.
    """
    parts = read_parts(path)
    try:
        stated = json.loads(parts.manifest)
        ends = {key: _tensor(stated["io"][key]) for key in ("input", "output")}
        manifest = DeviceManifest(
            stated["format"],
            stated["name"],
            DeviceInput(**stated["input"]),
            DeviceIO(stated["io"]["mode"], **ends, batches=tuple(stated["io"].get("batches", ()))),
            DeviceLabels(stated["labels"]["source"], tuple(stated["labels"]["names"])),
            tuple(DeviceStep(step["name"], step["config"]) for step in stated["lineage"]),
        )
        golden = stated["golden"]
        hashes = (stated["payload_sha256"], golden["inputs_sha256"], golden["outputs_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    parts.check(*hashes, manifest.labels.names, (manifest.input.height, manifest.input.width))
    return DeviceFile(path, parts.container, manifest, parts.golden)


def _tensor(stated: dict[str, Any]) -> DeviceTensor:
    return DeviceTensor(**{**stated, "shape": tuple(stated["shape"])})
