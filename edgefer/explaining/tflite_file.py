"""MACs and names of a TFLite file's operations, by LiteRT's own schema; zero weights.

The profiler names kernels, not operations. Both lists are in order of execution, and XNNPACK neither merges nor splits
what has weights; so their layers with weights are paired one by one, and if the two lists differ, none is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgefer.explaining.kinds import group_of, numbers_of, short
from edgefer.explaining.record import Layer
from edgefer.runtimes.profiling import Op

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
UNCOUNTED = ("BATCH_MATMUL", "TRANSPOSE_CONV", "CONV_3D")


class Weighted(NamedTuple):
    """An operation with weights: operator, name of its output, MACs an image, whether its weights are integers."""

    kind: str
    name: str
    macs: int
    integer: bool


def layers(path: Path, ops: Sequence[Op]) -> tuple[Layer, ...]:
    """The profiled operations, those with weights with the name and the MACs that the file gives them."""
    graph = weighted(path)
    profiled = [op for op in ops if group_of(op.kind) in ("dense", "depthwise")]
    known = iter(graph) if _alike(profiled, graph) else None
    return tuple(
        _layer(op, next(known) if known and group_of(op.kind) in ("dense", "depthwise") else None)
        for op in ops
    )


def _alike(profiled: Sequence[Op], graph: Sequence[Weighted]) -> bool:
    pairs = list(zip(profiled, graph, strict=False))
    return len(profiled) == len(graph) and all(
        group_of(op.kind) != "depthwise" or stated.kind == "DEPTHWISE_CONV_2D" for op, stated in pairs
    )


def _layer(op: Op, stated: Weighted | None) -> Layer:
    if stated is None:
        return Layer(name=op.name, kind=op.kind, where=op.where, group=group_of(op.kind), ns=op.ns,
                     numbers=numbers_of(op.kind))  # fmt: skip
    return Layer(
        name=stated.name,
        kind=op.kind,
        where=op.where,
        group="depthwise" if stated.kind == "DEPTHWISE_CONV_2D" else "dense",
        ns=op.ns,
        numbers=numbers_of(op.kind) or ("int8" if stated.integer else "float"),
        macs=stated.macs,
    )


def weighted(path: Path) -> list[Weighted]:
    """The main graph's operations with weights, in order; empty if one of them is of a kind that is not counted."""
    model, names = _model(path)
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        kind = names[operator.opcodeIndex]
        if kind in UNCOUNTED:
            return []
        if kind in WEIGHTED:
            found.append(_weighted(kind, graph, operator))
    return found


def _weighted(kind: str, graph: Any, operator: Any) -> Weighted:
    weights, answer = graph.tensors[operator.inputs[1]], graph.tensors[operator.outputs[0]]
    taps = weights.shape[1:3] if kind == "DEPTHWISE_CONV_2D" else weights.shape[1:]
    # The first dimension is the batch; what the file does not fix, it has as 1.
    macs = math.prod(abs(int(size)) for size in answer.shape[1:]) * math.prod(map(int, taps))
    return Weighted(kind, short(answer.name.decode()), macs, _is_integer(weights))


def _is_integer(tensor: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    return tensor.type in (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT4)


def zeros(path: Path) -> tuple[int, int]:
    """Weights in the file and how many of them are zero: constants of two dimensions or more."""
    from ai_edge_litert import schema_py_generated as schema

    model, _ = _model(path)
    dtypes = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.FLOAT16: np.float16,
        schema.TensorType.INT8: np.int8,
    }
    count = others = 0
    for tensor in model.subgraphs[0].tensors:
        data, dtype = model.buffers[tensor.buffer].data, dtypes.get(tensor.type)
        if data is not None and dtype is not None and tensor.shape is not None and len(tensor.shape) > 1:
            # Of a sparse constant the file holds what is not zero.
            count += math.prod(map(int, tensor.shape))
            others += int(np.count_nonzero(np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype)))
    return count, count - others


def _model(path: Path) -> tuple[Any, list[str]]:
    """The file as the schema's objects, and the operator's name of each operator code."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return model, [names[code] for code in codes]
