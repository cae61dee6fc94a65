"""What explains a file's speed: profiles of real runtimes, MACs from files, the rules behind the sentences."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench.runner import Job
from edgefer.bench.target import load_target
from edgefer.errors import EdgeferError, InputError, TargetUnavailableError
from edgefer.explaining import gemm_files, onnx_file, peak, tflite_file
from edgefer.explaining.explain import explain
from edgefer.explaining.findings import findings
from edgefer.explaining.kinds import group_of, numbers_of, short
from edgefer.explaining.record import SCHEMA, Against, Explanation, Layer, Peak
from edgefer.registry import discover
from edgefer.runtimes import litert_profile
from edgefer.runtimes.profiling import Op, Run, TensorType, quietest
from tests.unit.artifact_samples import make
from tests.unit.bench_fakes import QUICK


def layer(name="a", kind="Conv", group="dense", ns=1000.0, **changes):
    return Layer(name=name, kind=kind, where="CPU", group=group, ns=ns, **changes)


def explanation(layers, **changes):
    stated = {
        "schema": SCHEMA, "name": "net", "format": "onnx-int8", "sha256": "0", "target": "cpu", "executed_on": "here",
        "started": "", "environment": {}, "batch": 1, "source": "a profiler", "resolution_ns": 1e3, "runs": 1,
        "latency_ns": 1e6, "profiled_ns": sum(one.ns for one in layers), "layers": tuple(layers), "macs": 10**6,
        "peaks": (Peak(numbers="int8", macs_per_s=4e12, how="x"), Peak(numbers="fp32", macs_per_s=1e12, how="y")),
    }  # fmt: skip
    return Explanation(**(stated | changes))


def said(found, rule):
    return next((finding for finding in findings(found) if finding.id == rule), None)


# The rules. Each case stands on one side of its threshold.


def test_float_layers_in_an_integer_file_are_counted_and_named():
    layers = [layer("x", ns=3e3, numbers="float"), layer("y", ns=1e3, numbers="int8")]
    found = said(explanation(layers), "float-inside")
    assert found.text.startswith(
        "1 of 2 layers with weights run in float inside an integer file, 75% of the time: x"
    )
    assert said(explanation(layers, format="onnx-fp32"), "float-inside") is None
    of_int16 = explanation(layers, format="tflite-int16x8")
    assert said(of_int16, "float-inside")
    assert said(of_int16, "int8-gain") is None


@pytest.mark.parametrize(("group", "rule"), [("quantize", "conversions"), ("layout", "layout")])
def test_conversions_and_copies_are_worth_a_sentence_from_five_per_cent_on(group, rule):
    many = explanation([layer(ns=90e3), layer(group=group, kind="Cast", ns=10e3)])
    assert "10% of the time" in said(many, rule).text
    assert said(explanation([layer(ns=99e3), layer(group=group, ns=1e3)]), rule) is None


def test_int8_slower_than_float_names_the_groups_that_cost_it():
    other = Against(name="net", format="onnx-fp32", sha256="1", latency_ns=5e5, by_group_ns={"dense": 9e3})
    found = said(explanation([layer(ns=8e3), layer(group="quantize", ns=7e3)], against=other), "against")
    assert "2.00 times slower than onnx-fp32" in found.text
    assert found.figures["by_group_ns"] == {"dense": -1e3, "quantize": 7e3}
    assert "quantize +0.007 ms; dense -0.001 ms" in found.text


def test_zeros_shrink_nothing_only_if_there_are_many():
    assert "zeros make neither" in said(explanation([layer()], weights=100, zeros=50), "zeros").text
    assert said(explanation([layer()], weights=100, zeros=10), "zeros") is None


def test_a_network_too_small_for_its_runtime():
    found = explanation([layer(ns=10e3)], profiled_ns=20e3)
    assert "50% of a profiled run lies between its 1 operations" in said(found, "dispatch").text
    assert said(explanation([layer(ns=19e3)], profiled_ns=20e3), "dispatch") is None


def test_a_machine_that_does_other_work_is_named_before_anything_else():
    found = explanation([layer(ns=1e5)], latency_ns=5e5)
    assert findings(found)[0].id == "disturbed"
    assert said(explanation([layer(ns=1e6)]), "disturbed") is None


def test_the_share_of_the_peak_is_that_of_the_promised_arithmetic():
    # 1e6 MACs an image in 1 ms are 1 GMAC/s.
    assert said(explanation([layer()]), "peak").figures["share"] == pytest.approx(1e9 / 4e12)
    assert said(explanation([layer()], format="onnx-fp16"), "peak").figures["share"] == pytest.approx(
        1e9 / 1e12
    )
    assert said(explanation([layer()], macs=None), "peak") is None


def test_fallback_counts_how_often_execution_changes_hands():
    mixed = [layer(), layer(), msgspec.structs.replace(layer(kind="Shape"), where="other"), layer()]
    assert said(explanation(mixed), "fallback").figures == {"operations": 1, "share": 0.25, "changes": 2}
    assert said(explanation([layer()]), "fallback") is None


def test_depthwise_layers_that_take_more_than_their_share():
    layers = [layer(group="depthwise", ns=5e3, macs=10), layer(ns=5e3, macs=90)]
    assert said(explanation(layers), "depthwise").figures == {"macs_share": 0.1, "share": 0.5}
    assert said(explanation([layer(group="depthwise", macs=90), layer(macs=10)]), "depthwise") is None


def test_a_record_survives_being_written():
    found = explanation([layer(macs=3)], weights=9, zeros=3)
    found = msgspec.structs.replace(found, findings=findings(found))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found


# Names.


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("QLinearConv", "dense"), ("Convolution (NHWC, QC8) DWConv", "depthwise"), ("DEPTHWISE_CONV_2D", "depthwise"),
        ("Fully Connected (NC, QS8, QC8W) GEMM", "dense"), ("DequantizeLinear", "quantize"), ("QUANTIZE", "quantize"),
        ("Mean (ND) Reduce", "pool"), ("QLinearGlobalAveragePool", "pool"), ("ReorderOutput", "layout"),
        ("QLinearAdd", "elementwise"), ("SOFTMAX", "elementwise"), ("STRIDED_SLICE", "layout"),
    ],
)  # fmt: skip
def test_kernels_are_grouped_by_what_they_are_for(kind, group):
    assert group_of(kind) == group


def test_what_a_kernel_computes_in():
    assert numbers_of("Fully Connected (NC, QS8, QC8W) GEMM") == "int8"
    assert numbers_of("Fully Connected (NC, F32) GEMM") == "float"
    assert numbers_of("Conv", "float") == "float"
    assert numbers_of("QLinearConv", "uint8") == "int8"
    assert numbers_of("CONV_2D") == ""


def test_layers_are_called_by_their_keras_names():
    assert (
        short("StatefulPartitionedCall/StatefulPartitionedCall/net/block_1/Relu6;net/bn/add")
        == "block_1/Relu6"
    )
    assert (
        short("StatefulPartitionedCall/net/conv/convolution/merged_input:0_quantized") == "conv/convolution"
    )
    assert short("Conv__12") == "Conv__12"


# Profiles.


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
def test_the_quietest_runs_never_cost_more_than_all_of_them(times):
    found = quietest([Run(float(ns), (Op("a", "k", "w", float(ns)),)) for ns in times], "s", 1.0)
    assert found.runs == (len(times) + 4) // 5
    assert min(times) <= found.whole_ns <= np.mean(times) * (1 + 1e-9)
    assert found.ops[0].ns == pytest.approx(found.whole_ns)


def test_runs_that_did_different_things_are_not_averaged():
    with pytest.raises(ValueError, match="2 different lists"):
        quietest([Run(1.0, (Op("a", "k", "w", 1.0),)), Run(1.0, (Op("a", "other", "w", 1.0),))], "s", 1.0)


@pytest.fixture
def gemm(tmp_path):
    path = tmp_path / "gemm.tflite"
    path.write_bytes(gemm_files.tflite_gemm("int8"))
    image, answer = (
        SimpleNamespace(dtype="int8", shape=(None, n)) for n in (gemm_files.DEPTH, gemm_files.COLUMNS)
    )
    return SimpleNamespace(
        path=path, manifest=SimpleNamespace(io=SimpleNamespace(input=image, output=answer))
    )


@pytest.mark.parametrize("kernels", ["XNNPACK", "builtin kernels"])
def test_litert_tells_what_its_kernels_did(gemm, kernels):
    shape = (gemm_files.ROWS, gemm_files.DEPTH)
    found = litert_profile.profile(kernels, gemm, 1, shape, 4)
    (op,) = [op for op in found.ops if group_of(op.kind) == "dense"]
    assert op.where == kernels
    assert op.ns == max(one.ns for one in found.ops)  # the others only reshape, of a thousandth of the work
    assert op.ns <= found.whole_ns
    (only,) = [one for one in tflite_file.layers(gemm.path, found.ops) if one.group == "dense"]
    assert (only.numbers, only.macs) == ("int8", gemm_files.DEPTH * gemm_files.COLUMNS)


def test_litert_refuses_a_damaged_file(gemm):
    gemm.path.write_bytes(b"nothing" * 100)
    with pytest.raises(EdgeferError, match="LiteRtCreateModelFromFile"):
        litert_profile.profile("XNNPACK", gemm, 1, (1, 1), 2)


def test_a_layer_without_its_partner_in_the_file_has_no_macs(gemm):
    two = [Op("x", "Fully Connected (NC, F32) GEMM", "XNNPACK", 1.0)] * 2
    assert [one.macs for one in tflite_file.layers(gemm.path, two)] == [None, None]


def test_zeros_of_a_file_are_counted(gemm, tmp_path):
    weights, zeros = tflite_file.zeros(gemm.path)
    assert weights == gemm_files.DEPTH * gemm_files.COLUMNS
    assert zeros == pytest.approx(weights / 127, rel=0.1)  # codes are drawn from 127 values
    path = tmp_path / "gemm.onnx"
    path.write_bytes(gemm_files.onnx_gemm("int8"))
    assert onnx_file.zeros(path) == (weights, zeros)


def test_macs_of_a_packed_convolution_come_from_the_file(tmp_path):
    from onnx import TensorProto, helper

    kernel = helper.make_tensor("deep/w", TensorProto.INT8, (4, 1, 3, 3), bytes(36), raw=True)
    nodes = [
        helper.make_node("DequantizeLinear", ["deep/w", "s"], ["w"], name="dq"),
        helper.make_node("Conv", ["x", "w"], ["y"], name="Conv__7", group=4),
    ]
    path = tmp_path / "deep.onnx"
    path.write_bytes(helper.make_model(helper.make_graph(nodes, "g", [], [], [kernel])).SerializeToString())
    image, answer = TensorType("uint8", (2, 8, 8, 4)), TensorType("uint8", (2, 8, 8, 4))
    ran = Op("Conv__7_token_3", "QLinearConv", "CPU", 1.0, (image,), (answer,))
    (found,) = onnx_file.layers(path, [ran], batch=2)
    assert (found.name, found.group, found.numbers, found.macs) == ("w", "depthwise", "int8", 8 * 8 * 4 * 9)


# The whole.


def test_explaining_a_real_file_against_another(tmp_path):
    artifact = make(tmp_path)
    job = Job(target=load_target("cpu"), plan=QUICK, threads=1)
    found = explain(artifact, artifact, job, 4, lambda _: None)
    assert [one.kind for one in found.layers if one.macs] == ["MatMul"]
    assert next(one.macs for one in found.layers if one.macs) == 4 * 3
    assert 0 < found.layers_ns <= found.profiled_ns
    assert found.peaks[0].macs_per_s > 0
    assert {finding.id for finding in found.findings} >= {"against"}


def test_files_of_two_containers_are_not_compared(tmp_path):
    artifact = make(tmp_path)
    other = SimpleNamespace(container="tflite", path="other.tflite")
    with pytest.raises(InputError, match="one container"):
        explain(artifact, other, Job(target=load_target("cpu"), plan=QUICK), 1, lambda _: None)


def test_a_runtime_without_a_known_product_has_no_peak():
    runtimes = discover("edgefer.runtimes", "RUNTIMES")
    with pytest.raises(TargetUnavailableError, match="cannot be measured yet"):
        peak.products(runtimes["onnxruntime-cuda"], 1)


def test_a_convolution_in_blocks_of_channels_is_found_by_its_output(tmp_path):
    from onnx import TensorProto, helper

    kernel = helper.make_tensor("net/first/w", TensorProto.FLOAT, (8, 1, 3, 3), bytes(288), raw=True)
    path = tmp_path / "first.onnx"
    nodes = [helper.make_node("Conv", ["x", "net/first/w"], ["Conv__1:0"], name="Conv__1")]
    path.write_bytes(helper.make_model(helper.make_graph(nodes, "g", [], [], [kernel])).SerializeToString())
    image, filters = TensorType("float", (1, 1, 6, 6)), TensorType("float", (8, 1, 3, 3))
    ran = Op("Conv__1:0_nchwc", "Conv", "CPU", 1.0, (image, filters), (TensorType("float", (1, 8, 6, 6)),))
    (found,) = onnx_file.layers(path, [ran], batch=1)
    # Eight filters on one gray channel: an ordinary first layer, though each filter has a single channel.
    assert (found.name, found.group, found.numbers, found.macs) == (
        "first/w",
        "dense",
        "float",
        6 * 6 * 8 * 9,
    )
