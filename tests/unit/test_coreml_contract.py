"""Each thing that a Core ML specification says is held against the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.runtimes.mil.contract import differences
from edgefer.runtimes.mil.model import Feature, Model, Operation
from edgefer.spec import LabelSet

LABELS = LabelSet(source="two", names=("joy", "fear"))
IMAGE = Feature("image", "image", size=(48, 64), color="GRAYSCALE")
LABEL, PROBABILITIES = Feature("classLabel", "string"), Feature("classLabel_probs", "dictionary")


def classifier(*names: str) -> Operation:
    return Operation("classify", {"classes": (np.array(names, object),)}, {}, ())


RIGHT = Model(
    version=8,
    inputs=(IMAGE,),
    outputs=(LABEL, PROBABILITIES),
    label="classLabel",
    probabilities="classLabel_probs",
    arguments=(),
    operations=(classifier("joy", "fear"),),
    results=(),
)


def io(channels: int = 1, mode: str = "raw") -> IOSpec:
    dtype = "uint8" if mode == "raw" else "float32"
    image = TensorSpec("image", dtype, (1, 48, 64, channels))
    return IOSpec(mode, image, TensorSpec("classLabel_probs", "float32", (1, 2)))


def test_what_the_contract_describes_has_no_differences():
    assert differences(RIGHT, io(), LABELS, "iOS 17, macOS 14") == []
    array = Feature("image", "array", shapes=((1, 48, 64, 3),), data="float32")
    assert differences(replace(RIGHT, inputs=(array,)), io(3, "float"), LABELS, "") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": (IMAGE.__class__("picture", "image", (48, 64), "GRAYSCALE"),)}, "takes picture (GRAYSCALE"),
        ({"inputs": (replace(IMAGE, size=(64, 48)),)}, "takes image (GRAYSCALE image, 64x48)"),
        ({"inputs": (replace(IMAGE, color="RGB"),)}, "takes image (RGB image, 48x64)"),
        (
            {"inputs": (Feature("image", "array", shapes=((1, 48, 64, 1),), data="float16"),)},
            "takes image (float16 array, 1x48x64x1)",
        ),
        ({"inputs": ()}, "takes nothing"),
        ({"outputs": (LABEL,)}, "returns classLabel (string);"),
        ({"label": "", "probabilities": ""}, "no label and no probabilities"),
        ({"operations": (classifier("fear", "joy"),)}, "names the classes fear, joy; its contract says joy, fear"),
        ({"operations": ()}, "names the classes nothing"),
        ({"version": 9}, "needs iOS 18, macOS 15; its contract says iOS 17, macOS 14"),
        ({"version": 7}, "needs specification 7"),
    ],
)  # fmt: skip
def test_one_difference_is_named_once(change, said):
    [found] = differences(replace(RIGHT, **change), io(), LABELS, "iOS 17, macOS 14")
    assert said in found


def test_a_contract_that_states_no_system_is_not_held_against_one():
    assert differences(replace(RIGHT, version=9), io(), LABELS, "") == []


ARRAYS = Model(
    version=8,
    inputs=(Feature("image", "array", shapes=((1, 48, 64, 1), (8, 48, 64, 1)), data="float32"),),
    outputs=(Feature("probabilities", "array"),),
    label="",
    probabilities="",
    arguments=(),
    operations=(),
    results=(),
)
LISTED = IOSpec(
    "raw",
    TensorSpec("image", "float32", (None, 48, 64, 1)),
    TensorSpec("probabilities", "float32", (None, 2)),
    batches=(1, 8),
)


def test_a_model_of_arrays_is_held_against_the_batch_sizes_that_the_contract_lists():
    assert differences(ARRAYS, LISTED, LABELS, "iOS 17, macOS 14") == []
    other = replace(ARRAYS.inputs[0], shapes=((1, 48, 64, 1), (4, 48, 64, 1)))
    assert differences(replace(ARRAYS, inputs=(other,)), LISTED, LABELS, "") == [
        "takes image (float32 array, 1x48x64x1 or 4x48x64x1); "
        "its contract says image (float32 array, 1x48x64x1 or 8x48x64x1)"
    ]
    [_, found] = differences(RIGHT, LISTED, LABELS, "")
    assert found.endswith("its contract says probabilities (array)")
    assert len(differences(ARRAYS, io(), LABELS, "")) == 4
