"""The README of Core ML artifacts, byte by byte: an image input, an array input, and arrays of many images.

After a wanted change, look at what it does and then write the expected files anew:

    EDGEFER_UPDATE_GOLDEN=1 python -m pytest tests/golden/test_coreml_guide_golden.py && git diff tests/golden
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgefer.artifact import Artifact, Golden, GoldenInfo, IOMode, IOSpec, Manifest, TensorSpec
from edgefer.formats.coreml_guide import guide
from edgefer.spec import InputSpec, LabelSet, Step

EXPECTED = Path(__file__).parent / "coreml"
GRAY = InputSpec(height=48, width=64, channels=3, color="gray", range=(-1.0, 1.0))
BGR = InputSpec(height=48, width=64, channels=3, color="bgr", mean=(0.5, 0.25, 0.125), std=(0.25, 0.5, 0.5))
RGB = InputSpec(height=48, width=64, channels=3, color="rgb", range=(0.0, 1.0))


def artifact(spec: InputSpec, mode: IOMode, batches: tuple[int, ...]) -> Artifact:
    channels = spec.pixel_channels if mode == "raw" else spec.channels
    manifest = Manifest(
        schema=1,
        format="coreml-fp16",
        name="faces",
        payload_sha256="0" * 64,
        backbone_sha256="0" * 64,
        input=spec,
        io=IOSpec(
            mode=mode,
            input=TensorSpec("image", "uint8" if mode == "raw" else "float32", (1, 48, 64, channels)),
            output=TensorSpec("probabilities" if batches else "classLabel_probs", "float32", (1, 3)),
            batches=batches,
        ),
        labels=LabelSet(source="three", names=("joy", 'so "so"', "a\\b\t")),
        lineage=(Step(name="convert", config={"minimum_os": "iOS 17, macOS 14"}),),
        golden=GoldenInfo(0, "none", 0.0, "", ""),
        tools={"edgefer": "0.0.0"},
    )
    golden = Golden(np.zeros((0, 1), np.uint8), np.zeros((0, 3), np.float32))
    return Artifact(Path("faces-fp16.mlpackage"), "coreml", "ab" * 32, 1, manifest, golden)


@pytest.mark.parametrize(
    ("name", "spec", "mode", "batches"),
    [
        ("gray-image", GRAY, "raw", ()),
        ("colour-image", RGB, "raw", ()),
        ("bgr-array", BGR, "float", ()),
        ("gray-batches", GRAY, "float", (1, 8)),
        ("bgr-raw-batches", BGR, "raw", (1, 8)),
    ],
)
def test_the_guide_is_as_expected(name: str, spec: InputSpec, mode: IOMode, batches: tuple[int, ...]):
    text, file = guide(artifact(spec, mode, batches)), EXPECTED / f"{name}.md"
    if os.environ.get("EDGEFER_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
