"""Core ML precisions on a small network: what the saved package holds, and where its ranges come from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from edgefer.backbones.base import Backbone
from edgefer.errors import ConversionError
from edgefer.files import size_of
from edgefer.formats.base import Calibration, Converted, Export
from edgefer.formats.coreml import FORMATS, GROUP, SPARSITY
from edgefer.formats.export import export_backbone
from edgefer.formats.keeping import float_layers
from edgefer.runtimes.mil.model import BlobReference, Model, Operation
from edgefer.runtimes.mil.package import describe, open_package
from edgefer.spec import InputSpec, LabelSet

keras = pytest.importorskip("keras")
pytest.importorskip("coremltools")

BY_PRECISION = {form.precision: form for form in FORMATS}
SPEC = InputSpec(height=12, width=12, channels=3, color="gray", range=(-1.0, 1.0))
# Kernels of the network below: of more than 2,048 values, and all.
BIG, ALL = 3, 5


def _dense():
    # coremltools would drop a bias of zeros, and with it what makes a linear operation.
    return keras.layers.Dense(3, "softmax", bias_initializer="random_normal", name="probabilities")


def faces(brightest: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, brightest, (24, 12, 12, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 12, 3))
    value = keras.layers.Conv2D(32, 3, activation="relu", name="stem")(image)
    value = keras.layers.DepthwiseConv2D(3, activation="relu", name="depth")(value)
    value = keras.layers.Conv2D(96, 1, activation="relu", name="wide")(value)
    value = keras.layers.Conv2D(32, 1, name="narrow")(value)
    value = keras.layers.Flatten()(value)
    model = keras.Model(image, _dense()(value))
    return Backbone(model, SPEC, LabelSet(source="three", names=("a", "b", "c")), (), "small", "")


@pytest.fixture(scope="module")
def export(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export_backbone(backbone, "raw", tmp_path_factory.mktemp("scratch"))


def made(export: Export, precision: str, *, brightest: int = 256, **settings: object) -> Converted:
    form = BY_PRECISION[precision]
    calibration = Calibration(faces(brightest), {}, **settings) if form.needs_calibration else None
    return form.export(export, calibration, "uint8")


@pytest.fixture(scope="module")
def packages(export: Export, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Converted]:
    out = tmp_path_factory.mktemp("packages")
    found = {precision: made(export, precision) for precision in BY_PRECISION}
    # Where later conversions of the same export do not overwrite them.
    return {name: one._replace(payload=copytree(one.payload, out / name)) for name, one in found.items()}


def operations(model: Model, *kinds: str) -> list[Operation]:
    return [operation for operation in model.operations if operation.type in kinds]


def counts(model: Model) -> dict[str, int]:
    """How many operations of each compressed or quantizing kind there are."""
    kinds = Counter(operation.type for operation in model.operations)
    return {kind: n for kind, n in kinds.items() if kind.startswith(("constexpr", "quantize", "dequantize"))}


def stored(operation: Operation, name: str) -> tuple[str, tuple[int | None, ...]]:
    """Data type and shape of what an operation reads from the weight file as ``name``."""
    value = operation.attributes.get(name) or operation.inputs[name][0]
    assert isinstance(value, BlobReference)
    return value.type.dtype.name, value.type.shape


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", {}),
        ("fp16", {}),
        ("int8", {"constexpr_affine_dequantize": BIG}),
        ("pal8", {"constexpr_lut_to_dense": BIG}),
        ("pal6", {"constexpr_lut_to_dense": BIG}),
        ("pal4", {"constexpr_lut_to_dense": BIG}),
        ("pal4g", {"constexpr_lut_to_dense": BIG}),
        ("sparse-pal6", {"constexpr_lut_to_sparse": BIG, "constexpr_sparse_to_dense": BIG}),
    ],
)
def test_a_package_holds_what_its_name_says(packages, precision, expected):
    assert counts(describe(packages[precision].payload)) == expected


def test_palettes_have_as_many_values_as_their_bits_can_name(packages):
    for bits in (8, 6, 4):
        for operation in operations(describe(packages[f"pal{bits}"].payload), "constexpr_lut_to_dense"):
            assert stored(operation, "lut") == ("fp16", (2**bits,))


def test_grouped_palettes_have_a_table_for_each_eight_output_channels(packages):
    found = operations(describe(packages["pal4g"].payload), "constexpr_lut_to_dense")
    tables = {stored(each, "indices")[1][0]: stored(each, "lut")[1] for each in found}
    assert {stored(each, "indices")[0] for each in found} == {"uint4"}
    assert tables == {
        96: (96 // GROUP, 1, 1, 1, 16, 1),
        32: (32 // GROUP, 1, 1, 1, 16, 1),
        3: (1, 1, 16, 1),  # three outputs make no groups
    }


def test_pruned_palettes_store_the_weights_that_are_left_only(packages):
    for operation in operations(describe(packages["sparse-pal6"].payload), "constexpr_lut_to_sparse"):
        bits, mask = stored(operation, "indices_mask")
        kept, (count,) = stored(operation, "indices_nonzero_data")
        assert (bits, kept) == ("uint1", "uint6")
        assert count == pytest.approx((1 - SPARSITY) * np.prod(mask), abs=2)


def test_every_kernel_and_every_activation_between_layers_is_int8_in_w8a8(packages):
    model = describe(packages["w8a8"].payload)
    assert counts(model)["constexpr_affine_dequantize"] == ALL
    names = {o.outputs[0].name: o.type for o in model.operations}
    for operation in operations(model, "conv", "linear"):
        assert names[operation.inputs["x"][0]] == "dequantize"
        assert names[operation.inputs["weight"][0]] == "constexpr_affine_dequantize"
    for operation in operations(model, "quantize"):
        assert operation.outputs[0].type.dtype.name == "int8"


def scales(package: Path) -> list[float]:
    model = describe(package)
    constants = {o.outputs[0].name: o.attributes.get("val") for o in operations(model, "const")}
    return [float(constants[o.inputs["scale"][0]]) for o in operations(model, "quantize")]


def test_activation_ranges_are_those_of_the_calibration_images(packages, export):
    bright = scales(packages["w8a8"].payload)
    dark = scales(made(export, "w8a8", brightest=64).payload)
    assert (bright[0], dark[0]) == pytest.approx((255 / 127, 63 / 127), rel=1e-3)  # the pixels
    assert len(dark) == len(bright)
    assert sum(one != other for one, other in zip(dark, bright, strict=True)) > len(bright) / 2


def test_a_range_is_the_largest_magnitude_that_the_executor_sees(packages, export):
    seen: dict[str, float] = {}

    def observe(name: str, value: np.ndarray) -> None:
        if value.dtype.kind == "f":
            seen[name] = max(seen.get(name, 0.0), float(np.abs(value).max()))

    floats = open_package(packages["fp16"].payload)
    floats.executor.run(floats.feed(export.feed(faces(256))), observe=observe)
    model = describe(packages["w8a8"].payload)
    inputs = [o.inputs["input"][0] for o in operations(model, "quantize")]
    for name, scale in zip(inputs, scales(packages["w8a8"].payload), strict=True):
        # coremltools computes scales in float16.
        assert scale == pytest.approx(seen[name] / 127, rel=2e-3)


def test_layers_kept_in_float_have_no_integers(export, backbone):
    keep = float_layers(backbone.model, ["wide"])
    model = describe(made(export, "w8a8", keep_float=keep).payload)
    kinds = {o.outputs[0].name: o.type for o in model.operations}
    floats = [
        o
        for o in operations(model, "conv", "linear")
        if kinds[o.inputs["weight"][0]] != "constexpr_affine_dequantize"
    ]
    assert len(floats) == 1
    assert "wide" in floats[0].outputs[0].name
    assert counts(model)["constexpr_affine_dequantize"] == ALL - 1


def test_fewer_bits_are_fewer_bytes(packages):
    order = ["fp32", "fp16", "int8", "pal6", "sparse-pal6", "pal4"]
    weights = "Data/com.apple.CoreML/weights"
    sizes = [size_of(packages[precision].payload / weights) for precision in order]
    assert sizes == sorted(sizes, reverse=True)


def test_the_lineage_tells_the_first_system_that_runs_a_package(packages):
    systems = {precision: converted.config["minimum_os"] for precision, converted in packages.items()}
    newer = {precision for precision, system in systems.items() if system == "iOS 18, macOS 15"}
    assert newer == {"pal4g", "sparse-pal6"}
    assert {system for precision, system in systems.items() if precision not in newer} == {"iOS 17, macOS 14"}


def test_a_package_that_is_not_what_was_asked_for_is_an_error(export):
    other = replace(export, labels=LabelSet(source="three", names=("a", "c", "b")))
    with pytest.raises(ConversionError, match="names the classes a, b, c; its contract says a, c, b"):
        made(other, "fp16")  # finds the package that was made for the first order


BATCHES = (1, 3, 8)


@pytest.fixture(scope="module")
def arrays(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export_backbone(backbone, "raw", tmp_path_factory.mktemp("arrays"), BATCHES)


@pytest.mark.parametrize("precision", ["fp32", "int8", "w8a8", "pal4g", "sparse-pal6"])
def test_listed_batch_sizes_outlive_every_kind_of_compression(arrays, packages, precision):
    converted = made(arrays, precision)
    (taken,), (answered,) = describe(converted.payload).inputs, describe(converted.payload).outputs
    assert taken.shapes == tuple((batch, 12, 12, 1) for batch in BATCHES)
    assert (taken.kind, taken.data, answered.name) == ("array", "float32", "probabilities")
    assert converted.config["batches"] == list(BATCHES)
    assert counts(describe(converted.payload)) == counts(describe(packages[precision].payload))
    pixels = arrays.feed(faces(256))
    whole, single = open_package(converted.payload), open_package(packages[precision].payload)
    assert whole.executor.batches
    np.testing.assert_allclose(
        whole.executor.run(whole.feed(pixels))["probabilities"],
        single.executor.run(single.feed(pixels))["classLabel_probs"],
        # The classifier's image and the array go through the same numbers; a float16 step at a probability of one.
        atol=1e-6 if precision == "fp32" else 1e-3,
    )
