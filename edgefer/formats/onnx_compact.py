"""Quantized ONNX files with short names for what the quantizer put between the network's own tensors.

Its scales, zero points and converted tensors repeat the name of the tensor they are for, at both ends of every edge: a
sixth of a small network's file. What has a name of the network's own keeps it, ``edgefer explain`` reads those.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

PAIR = ("QuantizeLinear", "DequantizeLinear")


def compact(model: Any) -> None:
    """Rename, in place, the outputs, scales and zero points of an ``onnx.ModelProto``'s Q/DQ nodes; not its ends."""
    graph = model.graph
    ends = {end.name for end in (*graph.input, *graph.output)}
    between = [
        name
        for node in graph.node
        if node.op_type in PAIR
        for name in (*node.input[1:], *node.output)
        if name not in ends
    ]
    short = dict(zip(dict.fromkeys(between), _unused(graph), strict=False))
    for node in graph.node:
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = short.get(tensor.name, tensor.name)


def _unused(graph: Any) -> Iterator[str]:
    """Names from ``q0`` on that the graph does not have yet."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    return (name for number in count() if (name := f"q{number}") not in taken)
