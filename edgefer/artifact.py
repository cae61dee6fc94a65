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

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgefer.metrics import Score
from edgefer.spec import Frozen, InputSpec, LabelSet, Lineage

MANIFEST_SCHEMA = 1

Container = Literal["tflite", "onnx", "coreml"]
IOMode = Literal["raw", "float"]


class TensorSpec(Frozen):
    """One end of a model. ``shape`` has None for the batch; real = (stored - zero_point) * scale if quantized."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None


class IOSpec(Frozen):
    """How the file wants to be fed and read.

    ``mode`` "raw": the input is uint8 (or, shifted by its zero point, int8) pixels (N, H, W, pixel channels);
    "float": the backbone's own floats (N, H, W, channels), possibly quantized.
    """

    mode: IOMode
    input: TensorSpec
    output: TensorSpec


class Baseline(Frozen):
    """The float backbone's score on the test split of ``data``, in full and without rows leaked from training.

    ``predictions`` are its class numbers on the full split, in order.
    """

    data: str
    synthetic: bool
    full: Score
    clean: Score


class GoldenInfo(Frozen):
    """What the golden tensors are: raw uint8 images, and the *float backbone's* probabilities for them.

    ``spread`` is the largest difference between two golden outputs of one class; outputs that do not spread prove
    nothing (a constant network passes any comparison).
    """

    count: int
    source: str
    spread: float
    inputs_sha256: str
    outputs_sha256: str


class Manifest(Frozen):
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
    options: dict[str, Any] = {}


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
