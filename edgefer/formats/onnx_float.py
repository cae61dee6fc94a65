"""Layers of a quantized ONNX file that stay in float, kept so by ONNX Runtime too.

Where a float convolution or dense layer stands between a dequantized tensor and a quantized one, ONNX Runtime 1.20 and
later round its weights after all, all channels with one scale, for the integer kernel's sake (its transformer
``WeightBiasQuantization``). It does so only if the tensor that comes in has a single scale: equal scales, one a
channel, say the same and leave the layer alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

_ROUNDED = ("Conv", "ConvTranspose", "Gemm")


def keep_in_float(model: Any, names: Collection[str]) -> None:
    """Change, in place, what the nodes ``names`` of an ``onnx.ModelProto`` with Q/DQ pairs read."""
    import onnx

    graph = model.graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    for node in [one for one in graph.node if one.name in names and one.op_type in _ROUNDED]:
        before = made_by.get(node.input[0])
        if before is None or before.op_type != "DequantizeLinear":
            continue
        own = _by_channel(node, before, constants, graph)
        graph.node.insert(list(graph.node).index(node), own)
        node.input[0] = own.output[0]
    _drop_unread(graph, made_by)


def _by_channel(node: Any, before: Any, constants: dict[str, Any], graph: Any) -> Any:
    """A node that dequantizes for ``node`` what ``before`` does, with as many scales as there are channels."""
    import onnx

    channels = _channels(node, constants[node.input[1]].shape)
    inputs = [before.input[0]]
    for name in before.input[1:]:
        inputs.append(f"{node.name}_{name}")
        repeated = np.full(channels, constants[name])
        graph.initializer.append(onnx.numpy_helper.from_array(repeated, inputs[-1]))
    output = f"{node.name}_{before.output[0]}"
    return onnx.helper.make_node("DequantizeLinear", inputs, [output], axis=1)


def _channels(node: Any, kernel: tuple[int, ...]) -> int:
    """How many channels a node takes: (out, in / groups, …), transposed (in, …), or a matrix either way round."""
    options = {one.name: one.i for one in node.attribute}
    if node.op_type == "Conv":
        return int(kernel[1] * options.get("group", 1))
    return int(kernel[options.get("transB", 0)])


def _drop_unread(graph: Any, made_by: dict[str, Any]) -> None:
    """Take out dequantizing nodes that nothing reads any more."""
    read = {name for node in graph.node for name in node.input} | {end.name for end in graph.output}
    for output, node in made_by.items():
        if node.op_type == "DequantizeLinear" and output not in read:
            graph.node.remove(node)
