"""MACs and names of ONNX operations, from ONNX Runtime's profile and from the file; zero weights.

The profile tells each output's shape and what flows in. Weights that a kernel packed for itself it no longer lists, so
their shapes come from the file, by the name of the node or of its output, behind which the optimiser puts ``_token_N``
or ``_nchwc``.

Source: onnx.proto (``ModelProto.graph`` is field 7, ``GraphProto`` node 1 and initializer 5, ``NodeProto`` input 1,
output 2 and name 3, ``TensorProto`` dims 1, data_type 2, name 8 and raw_data 9), read with our own wire-format reader:
the onnx package is no dependency of a machine that measures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgefer.explaining.kinds import group_of, numbers_of, short
from edgefer.explaining.record import Group, Layer
from edgefer.protobuf import Message, read_varint
from edgefer.runtimes.profiling import Op

GRAPH, NODE, INITIALIZER = 7, 1, 5
INPUT, OUTPUT, NAME = 1, 2, 3
DIMS, DATA_TYPE, TENSOR_NAME, RAW = 1, 2, 8, 9
# TensorProto.DataType of weights: float, uint8, int8, float16.
DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 10: np.float16}
CONVOLUTIONS = ("Conv", "FusedConv", "QLinearConv", "NhwcFusedConv", "NhwcConv")
PRODUCTS = ("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "QGemm", "QLinearMatMul", "MatMulInteger")
ADDED = re.compile(r"(_token_\d+|_nchwc)$")


class Weights(NamedTuple):
    """A constant: where its name says it is from, and its shape."""

    name: str
    shape: tuple[int, ...]


def layers(path: Path, ops: Sequence[Op], batch: int) -> tuple[Layer, ...]:
    """The profiled operations with MACs an image."""
    known = weights(path)
    return tuple(_layer(op, known.get(ADDED.sub("", op.name)), batch) for op in ops)


def _layer(op: Op, stated: Weights | None, batch: int) -> Layer:
    macs = _macs(op, stated)
    counted = macs is not None
    return Layer(
        name=_name(op, stated),
        kind=op.kind,
        where=op.where,
        group=_group(op, stated),
        ns=op.ns,
        numbers=numbers_of(op.kind, op.inputs[0].dtype) if counted else "",
        macs=None if macs is None else macs // batch,
    )


def _name(op: Op, stated: Weights | None) -> str:
    """A convolution that took a batch norm in has a number for a name, so its weights speak for it."""
    full = ADDED.sub("", op.name)
    if "/" not in full and stated:
        full = stated.name
    return short(full)


def _filters(op: Op, stated: Weights | None) -> tuple[int, ...]:
    """Shape of a convolution's weights (filters, channels of each, ...); () for what is none."""
    if op.kind not in CONVOLUTIONS:
        return ()
    listed = op.inputs[1].shape if op.kind != "QLinearConv" and len(op.inputs) > 1 else ()
    return listed if len(listed) > 2 else stated.shape if stated else ()


def _macs(op: Op, stated: Weights | None) -> int | None:
    """Multiplications of one call: an output's size times what each of its values sums up."""
    if not op.outputs or not op.inputs:
        return None
    size = math.prod(op.outputs[0].shape)
    if filters := _filters(op, stated):
        return size * math.prod(filters[1:])
    return size * op.inputs[0].shape[-1] if op.kind in PRODUCTS and op.inputs[0].shape else None


def _group(op: Op, stated: Weights | None) -> Group:
    """One filter a channel is depthwise; channels are the second dimension or, where kernels like that, the last."""
    filters = _filters(op, stated)
    if len(filters) > 2 and filters[0] > 1 and filters[1] == 1:
        image = op.inputs[0].shape
        return "depthwise" if filters[0] in (image[1], image[-1]) else "dense"
    return group_of(op.kind)


def weights(path: Path) -> dict[str, Weights]:
    """The constant second operand of each node that has one, quantized or not, by the names of node and output."""
    graph = Message(path.read_bytes()).message(GRAPH)
    constants = {tensor.text(TENSOR_NAME): tensor for tensor in graph.messages(INITIALIZER)}
    nodes = graph.messages(NODE)
    makers = {output: node for node in nodes for output in map(bytes.decode, node.all(OUTPUT))}
    found = {}
    for node in nodes:
        operands = [each.decode() for each in node.all(INPUT)]
        if len(operands) < 2 or not (tensor := _constant(operands[1], constants, makers)):
            continue
        constant = Weights(tensor.text(TENSOR_NAME), _dims(tensor))
        found.update(dict.fromkeys((node.text(NAME), *map(bytes.decode, node.all(OUTPUT))), constant))
    return found


def _constant(name: str, constants: dict[str, Message], makers: dict[str, Message]) -> Message | None:
    """The constant of that name, or the one that it is dequantized from."""
    maker = makers.get(name)
    if maker is not None and maker.all(INPUT):
        name = maker.all(INPUT)[0].decode()
    return constants.get(name)


def zeros(path: Path) -> tuple[int, int]:
    """Weights in the file and how many of them are zero: initializers of two dimensions or more."""
    count = zero = 0
    for tensor in Message(path.read_bytes()).message(GRAPH).messages(INITIALIZER):
        dtype = DTYPES.get(tensor.number(DATA_TYPE))
        raw = tensor.content(RAW)
        if dtype is None or not raw or len(_dims(tensor)) < 2:
            continue
        values = np.frombuffer(raw, dtype)
        count += values.size
        zero += values.size - int(np.count_nonzero(values))
    return count, zero


def _dims(tensor: Message) -> tuple[int, ...]:
    """The dimensions: one field each, or all in one."""
    return tuple(size for content in tensor.all(DIMS) for size in _varints(content))


def _varints(content: bytes) -> Iterator[int]:
    position = 0
    while position < len(content):
        value, position = read_varint(content, position)
        yield value
