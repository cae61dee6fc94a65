"""Activation ranges from histograms, and what quantizers of both containers make of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgefer.errors import ConversionError, InputError
from edgefer.formats.calibration import (
    AFFINE,
    SYMMETRIC,
    Histogram,
    by_percentile,
    choose,
    ranges,
    squared_error,
)
from edgefer.quantization import Range, affine, symmetric

METHODS = ["minmax", "percentile", "mse", "entropy"]
CLIPPING = METHODS[1:]


@st.composite
def histograms(draw):
    low = draw(st.floats(-50, 50))
    width = draw(st.floats(0.01, 100))
    counts = draw(arrays.arrays(np.float64, 2048, elements=st.integers(0, 1000), fill=st.just(0.0)))
    counts[draw(st.integers(0, 2047))] += 1
    return Histogram(low, low + width, counts)


@given(histograms(), st.sampled_from(METHODS), st.sampled_from([AFFINE, SYMMETRIC]))
def test_a_range_lies_inside_what_was_seen_and_keeps_zero_where_it_was_seen(histogram, method, rules):
    low, high = choose(histogram, method, rules)
    assert histogram.low <= low <= high <= histogram.high
    if histogram.low <= 0 <= histogram.high:
        assert low <= 0 <= high


@given(histograms(), st.sampled_from([(AFFINE, affine), (SYMMETRIC, symmetric)]))
def test_the_squared_error_is_never_worse_than_that_of_the_whole_range(histogram, scheme):
    rules, codes = scheme
    whole, chosen = Range(histogram.low, histogram.high), choose(histogram, "mse", rules)
    # One part in 1e9 is float64 rounding of the same sum.
    assert squared_error(histogram, chosen, codes) <= squared_error(histogram, whole, codes) * (1 + 1e-9)


def test_ranges_for_symmetric_codes_are_chosen_for_symmetric_codes():
    """Half the codes are lost on what a ReLU leaves, so that it pays to cut off more of it."""
    seen = histogram_of(np.abs(np.random.default_rng(0).standard_t(4, size=200_000)))
    with_half, with_all = (choose(seen, "mse", rules) for rules in (SYMMETRIC, AFFINE))
    assert with_half.high < 0.8 * with_all.high
    assert squared_error(seen, with_half, symmetric) < 0.9 * squared_error(seen, with_all, symmetric)


@given(histograms(), st.floats(50.5, 100))
def test_a_percentile_leaves_out_no_more_than_its_share_at_each_end(histogram, percentile):
    low, high = by_percentile(histogram, percentile)
    share = 1 - percentile / 100
    total = histogram.counts.sum()
    # Bins wholly outside; their borders are compared with room for float64 rounding.
    room = 1e-9 * (histogram.high - histogram.low)
    assert histogram.counts[histogram.edges[:-1] >= high + room].sum() <= share * total * (1 + 1e-9)
    assert histogram.counts[histogram.edges[1:] <= low - room].sum() <= share * total * (1 + 1e-9)


def histogram_of(values):
    counts, edges = np.histogram(values, bins=2048)
    return Histogram(float(edges[0]), float(edges[-1]), counts.astype(np.float64))


@pytest.mark.parametrize("rules", [AFFINE, SYMMETRIC])
@pytest.mark.parametrize("method", CLIPPING)
def test_a_lone_outlier_is_cut_off(method, rules):
    values = np.concatenate([np.abs(np.random.default_rng(0).normal(size=1_000_000)), [12.0]])
    chosen = choose(histogram_of(values), method, rules)
    # The largest of a million half-normal values is about 5. Cut at 6 the outlier costs 36 / 1e6 in mean squared
    # error, and rounding with half the step saves 1.4e-4.
    assert 3 < chosen.high < 9
    assert chosen.low == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("rules", [AFFINE, SYMMETRIC])
@pytest.mark.parametrize("method", CLIPPING)
def test_evenly_spread_values_lose_next_to_nothing(method, rules):
    chosen = choose(histogram_of(np.linspace(-1, 1, 100_000)), method, rules)
    # A step of the squared error's grid is 1/64; entropy looks at every 16th of 2048 bins.
    assert chosen.low < -0.97
    assert chosen.high > 0.97


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_tensor_keeps_its_value(method):
    found = ranges(lambda: [{"a": np.full((2, 3), 4.0, np.float32)}], method, AFFINE)
    assert found == {"a": (4.0, 4.0)}


def test_ranges_gather_over_passes_and_leave_the_ends_whole():
    rng = np.random.default_rng(1)
    batches = [
        {"in": np.float32([0, 255 + n]), "t": rng.normal(size=5000).astype(np.float32)} for n in range(3)
    ]
    batches[1]["t"][0] = 40
    seen = ranges(lambda: batches, "minmax", AFFINE)
    assert seen["t"].high == 40
    found = ranges(lambda: batches, "percentile", AFFINE, whole={"in"})
    assert found["in"] == (0, 257)
    # 1.5 of 15,000 values are above the percentile: the outlier and the half of the next, a normal value.
    assert found["t"].high < 6


keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def network():
    layers = keras.layers
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 3))
    value = layers.Conv2D(6, 3, use_bias=False, name="first")(image)
    value = layers.ReLU()(layers.BatchNormalization()(value))
    value = layers.DepthwiseConv2D(3, padding="same", name="depth")(value)
    value = layers.ReLU(6.0)(layers.BatchNormalization()(value))
    value = layers.Conv2D(5, 1, use_bias=False, name="point")(value)
    value = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="point_norm")(value))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="head")(value))


@pytest.fixture(scope="module")
def export(network, tmp_path_factory):
    from edgefer.backbones.base import Backbone
    from edgefer.formats.export import export_backbone
    from edgefer.spec import InputSpec, LabelSet

    spec = InputSpec(height=8, width=8, channels=3, range=(-1.0, 1.0))
    backbone = Backbone(network, spec, LabelSet(source="three", names=("a", "b", "c")), (), "small", "")
    return export_backbone(backbone, "raw", tmp_path_factory.mktemp("export"))


def images():
    # Noise in which the contrast of two pixels of one image is higher than all others.
    pixels = np.random.default_rng(2).integers(80, 176, (120, 8, 8, 1)).astype(np.uint8)
    pixels[3, 4, 4] = 255
    pixels[3, 4, 5] = 0
    return pixels


def int8(container):
    from edgefer.formats import onnx, tflite

    formats = {"tflite": tflite.FORMATS, "onnx": onnx.FORMATS}[container]
    return next(form for form in formats if form.precision == "int8").export


def converted(container, export, method="minmax", keep=None) -> bytes:
    from edgefer.formats.base import Calibration

    calibration = Calibration(images(), {}, method, keep or {})
    return int8(container)(export, calibration, "uint8").payload.read_bytes()


def activation_scales(container: str, content: bytes) -> dict[str, float]:
    """Scale by tensor of what is quantized per tensor."""
    if container == "onnx":
        return {
            name: scale for name, scale in onnx_scales(content).items() if not name.endswith("_quantized")
        }
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=content).get_tensor_details()
    return {
        d["name"]: d["quantization"][0] for d in details if len(d["quantization_parameters"]["scales"]) == 1
    }


def onnx_scales(content: bytes) -> dict[str, float]:
    import onnx

    graph = onnx.load_from_string(content).graph
    values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    return {
        node.input[0]: float(values[node.input[1]]) for node in quantizers if values[node.input[1]].size == 1
    }


@pytest.mark.parametrize("method", CLIPPING)
@pytest.mark.parametrize("container", ["tflite", "onnx"])
def test_a_method_narrows_inner_scales_and_widens_none(container, method, export):
    plain = activation_scales(container, converted(container, export))
    chosen = activation_scales(container, converted(container, export, method))
    shared = plain.keys() & chosen.keys()
    inner = [name for name in shared if "elu" in name or "convolution" in name]
    assert inner
    # Scales are float32; the same range gives the same scale but for its last digits.
    assert all(chosen[name] <= plain[name] * (1 + 1e-5) for name in shared)
    assert any(chosen[name] < plain[name] * 0.99 for name in inner)


def test_raw_pixels_keep_scale_one(export):
    from edgefer.formats.base import Calibration

    for method in CLIPPING:
        io = int8("tflite")(export, Calibration(images(), {}, method), "uint8").io
        assert (io.input.scale, io.input.zero_point) == (1.0, 0)


def test_the_plain_tflite_file_is_what_the_converter_alone_writes_without_repetitions(export):
    import tensorflow as tf

    from edgefer.formats.tflite import _spanning
    from edgefer.formats.tflite_compact import compact
    from edgefer.quieting import quiet_native

    pixels = _spanning(images()).astype(np.float32)
    with quiet_native():
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(export.directory), signature_keys=["float32"]
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ({"image": pixels[i : i + 1]} for i in range(len(pixels)))
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        expected = converter.convert()
    assert converted("tflite", export) == compact(expected)


def test_int16_activations_take_no_other_ranges(export):
    from edgefer.formats.base import Calibration
    from edgefer.formats.tflite import FORMATS

    int16 = next(form for form in FORMATS if form.precision == "int16x8")
    with pytest.raises(
        ConversionError, match="takes the ranges of this precision from the whole network only"
    ):
        int16.export(export, Calibration(images(), {}, "mse"), "uint8")


def float_ops_tflite(content: bytes) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    types = {d["index"]: d["dtype"] for d in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    return [
        op["op_name"] for op in operators if "CONV" in op["op_name"] and types[op["inputs"][1]] is np.float32
    ]


def float_ops_onnx(content: bytes) -> int:
    import onnx

    graph = onnx.load_from_string(content).graph
    constants = {one.name for one in graph.initializer}
    return sum(node.op_type == "Conv" and node.input[1] in constants for node in graph.node)


def test_named_layers_stay_in_float_in_both_containers(network, export):
    from edgefer.formats.keeping import float_layers

    keep = float_layers(network, ["dep*", "point"])
    assert keep["point"] == ("point", "point_norm") == float_layers(network, ["poi*"])["poi*"]
    assert set(float_layers(network, ["point_norm"])["point_norm"]) == {"point", "point_norm"}
    assert float_ops_tflite(converted("tflite", export, keep=keep)) == ["DEPTHWISE_CONV_2D", "CONV_2D"]
    assert float_ops_onnx(converted("onnx", export, keep=keep)) == 2
    assert float_ops_tflite(converted("tflite", export)) == []
    assert float_ops_onnx(converted("onnx", export)) == 0


def test_a_mistyped_layer_is_refused_with_a_suggestion(network):
    from edgefer.formats.keeping import float_layers

    with pytest.raises(InputError, match="did you mean 'depth'"):
        float_layers(network, ["deph"])


@pytest.mark.parametrize("container", ["tflite", "onnx"])
def test_a_layer_without_an_operation_is_an_error_not_a_silence(container, export):
    with pytest.raises(ConversionError, match="gone"):
        converted(container, export, keep={"gone": ("gone",)})


def test_numbered_names_are_told_apart():
    from edgefer.formats.keeping import kept

    texts = {
        "a": "m_1/conv2d_1/convolution",
        "b": "m_1/conv2d_1_2/convolution",
        "c": "m_1/conv2d_on_pixels_1/x",
    }
    assert kept(texts, {"conv2d_1": ("conv2d_1",)}) == ["b"]
    assert kept(texts, {"conv2d": ("conv2d",)}) == ["a", "c"]


def test_a_layer_is_not_taken_for_the_addition_inside_a_batch_normalization():
    from edgefer.formats.keeping import kept

    texts = {
        "conv": "m_1/bn_1/batchnorm/add_1;m_1/conv_1/convolution",
        "sum": "m_1/add_1/Add;m_1/add_1/Add:0",
    }
    assert kept(texts, {"add": ("add",)}) == ["sum"]
    assert kept(texts, {"bn": ("bn", "conv")}) == ["conv"]


def test_scratch_is_where_intermediate_files_go(export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    converted("onnx", export, "entropy")
    assert list(tmp_path.iterdir()) == []


def small_backbone(network):
    """A network of random weights whose answers to the synthetic faces differ, and these."""
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec
    from tests.networks import spread

    dataset = load("synthetic", None, size=(8, 8))
    spec = InputSpec(height=8, width=8, channels=3, range=(-1.0, 1.0))
    body = keras.Model(network.inputs[0], network.layers[-2].output)
    head = keras.layers.Dense(len(dataset.labels), activation="softmax")(body.output)
    model = spread(keras.Model(body.inputs[0], head), to_floats(dataset.split("train").pixels[:64], spec))
    return Backbone(model, spec, dataset.labels, (), "small", ""), dataset


def test_method_and_float_layers_stand_in_the_artifact(network, tmp_path: Path):
    from edgefer.artifact import open_artifact
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, dataset = small_backbone(network)
    options = Options(calibration=20, method="mse", keep_float=("poi*",))
    formats = choose_formats("tflite-int8,onnx-int8")
    outcomes = convert(backbone, formats, dataset, dataset, tmp_path, options, lambda *_: None)
    assert [outcome.error for outcome in outcomes] == [None, None]
    for outcome in outcomes:
        calibration = open_artifact(outcome.path).manifest.lineage[-1].config["calibration"]
        assert (calibration["method"], calibration["keep_float"]) == ("mse", ["poi*"])


def test_the_best_method_is_the_one_whose_file_is_closest_on_validation_rows(network, tmp_path: Path):
    from edgefer.artifact import open_artifact
    from edgefer.calibrating import judge_of
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, dataset = small_backbone(network)
    judge = judge_of(backbone, dataset, 0)
    remarks = []

    def made(method: str) -> tuple[dict, float]:
        options = Options(calibration=20, method=method)
        out, formats = tmp_path / method, choose_formats("tflite-int8")
        (one,) = convert(
            backbone, formats, dataset, dataset, out, options, lambda *at: remarks.append(at[-1])
        )
        artifact = open_artifact(one.path)
        return artifact.manifest.lineage[-1].config["calibration"], judge.error(artifact)

    calibration, error = made("best")
    assert [word for word in remarks if "calibration" in word] == [
        *(f"tflite-int8: {method} calibration" for method in ("minmax", "percentile", "mse", "entropy")),
        f"tflite-int8: {calibration['method']} calibration, the closest",
    ]
    tried = {method: made(method)[1] for method in ("minmax", "percentile", "mse", "entropy")}
    assert error == min(tried.values()) < max(tried.values())
    assert calibration["method"] == min(tried, key=tried.get)
    assert calibration["divergence_nats"] == pytest.approx(tried, abs=1e-6)
    assert not [
        path for path in (tmp_path / "best").iterdir() if path.is_dir()
    ]  # no candidate is left behind


def test_a_file_that_answers_nan_is_not_the_closest(network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edgefer.artifact import open_artifact
    from edgefer.calibrating import Judge
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, dataset = small_backbone(network)
    options, formats = Options(calibration=20, method="best"), choose_formats("tflite-int8")

    def made(*errors: float):
        found = iter(errors)
        monkeypatch.setattr(Judge, "error", lambda *_: next(found))
        return convert(backbone, formats, dataset, dataset, tmp_path, options, lambda *_: None)[0]

    usable = open_artifact(made(np.nan, 0.3, np.nan, 0.2).path)
    assert usable.manifest.lineage[-1].config["calibration"]["method"] == "entropy"
    assert "no calibration method gives a file that answers with numbers" in str(made(*[np.nan] * 4).error)


def test_where_every_method_is_tried_int16_activations_keep_their_converters_ranges(network, tmp_path: Path):
    from edgefer.artifact import open_artifact
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, dataset = small_backbone(network)
    options, formats = Options(calibration=20, method="best"), choose_formats("tflite-int16x8")
    (one,) = convert(backbone, formats, dataset, dataset, tmp_path, options, lambda *_: None)
    assert one.error is None
    assert open_artifact(one.path).manifest.lineage[-1].config["calibration"].get("method") in (
        None,
        "minmax",
    )


def test_without_validation_rows_no_best_method_is_chosen(network):
    from dataclasses import replace

    from edgefer.calibrating import judge_of
    from edgefer.errors import InputError

    backbone, dataset = small_backbone(network)
    bare = replace(dataset, splits={"train": dataset.split("train")})
    with pytest.raises(InputError, match="no validation rows"):
        judge_of(backbone, bare, 0)
