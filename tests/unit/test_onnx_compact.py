from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edgefer.formats.onnx_compact import compact

SCALES = ("image_scale", "image_zero_point", "dense/kernel_scale", "dense/kernel_zero_point")


def quantized() -> onnx.ModelProto:
    """One dense layer between Q/DQ pairs; a tensor of the network's own is called as a short name would be."""
    rng = np.random.default_rng(2)
    scale, zero, kernel_scale, kernel_zero = SCALES
    constants = {
        scale: np.float32(0.02),
        zero: np.uint8(128),
        kernel_scale: rng.uniform(0.01, 0.02, 3).astype(np.float32),
        kernel_zero: np.zeros(3, np.int8),
        "dense/kernel_quantized": rng.integers(-127, 128, (4, 3), dtype=np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", scale, zero], ["image_QuantizeLinear_Output"], "image_Q"),
        helper.make_node("DequantizeLinear", ["image_QuantizeLinear_Output", scale, zero], ["image_DQ"], "image_DQ"),
        helper.make_node(
            "DequantizeLinear", ["dense/kernel_quantized", kernel_scale, kernel_zero], ["kernel_DQ"], "kernel", axis=1
        ),
        helper.make_node("MatMul", ["image_DQ", "kernel_DQ"], ["q0"], "dense/MatMul"),
        helper.make_node("QuantizeLinear", ["q0", scale, zero], ["answer_QuantizeLinear_Output"], "answer_Q"),
        helper.make_node("DequantizeLinear", ["answer_QuantizeLinear_Output", scale, zero], ["answer"], "answer_DQ"),
    ]  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("image", 4), ("answer", 3))
    ]
    inner = [helper.make_tensor_value_info("image_DQ", TensorProto.FLOAT, ["batch", 4])]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "quantized", ends[:1], ends[1:], tensors, value_info=inner)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
    found: np.ndarray = session.run(["answer"], {"image": images})[0]
    return found


def test_a_file_with_short_names_is_smaller_and_answers_the_same():
    model, before = quantized(), quantized()
    compact(model)
    onnx.checker.check_model(model, full_check=True)
    assert model.ByteSize() < before.ByteSize()
    np.testing.assert_array_equal(answers(model), answers(before))


def test_the_networks_own_names_stay_and_no_name_is_taken_twice():
    model, before = quantized(), quantized()
    compact(model)
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    assert {"image", "answer", "q0", "dense/kernel_quantized"} <= names
    assert not names & {*SCALES, "image_DQ", "kernel_DQ"}
    assert len(names) == len({name for node in before.graph.node for name in (*node.input, *node.output)})
    assert [node.name for node in model.graph.node] == [node.name for node in before.graph.node]
    assert model.graph.value_info[0].name == model.graph.node[1].output[0]
