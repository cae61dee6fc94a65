"""A file that is one large matrix product, for each container and arithmetic: what the machine's peak is measured with.

(ROWS, DEPTH) times constant weights (DEPTH, COLUMNS). Source of the two layouts: onnx.proto, by its field numbers, and
LiteRT's schema.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edgefer.protobuf import field, number_field

ROWS, DEPTH, COLUMNS = 512, 1024, 1024
MACS = ROWS * DEPTH * COLUMNS
Numbers = Literal["int8", "fp32"]
FLOAT, UINT8, INT8 = 1, 2, 3  # TensorProto.DataType


def _weights(numbers: Numbers) -> np.ndarray[Any, Any]:
    """Random weights (DEPTH, COLUMNS); integers of 7 bits, as our int8 files have them."""
    rng = np.random.default_rng(0)
    if numbers == "fp32":
        return rng.standard_normal((DEPTH, COLUMNS), np.float32)
    return rng.integers(-63, 64, (DEPTH, COLUMNS), np.int8)


def feed(numbers: Numbers, *, signed: bool) -> np.ndarray[Any, Any]:
    """Random rows; integers are int8 for TFLite and uint8 for ONNX, as in our files."""
    rng = np.random.default_rng(1)
    if numbers == "fp32":
        return rng.standard_normal((ROWS, DEPTH), np.float32)
    low, high, dtype = (-128, 128, np.int8) if signed else (0, 256, np.uint8)
    return rng.integers(low, high, (ROWS, DEPTH), dtype)


def onnx_gemm(numbers: Numbers) -> bytes:
    """``MatMul``, or ``QLinearMatMul`` of uint8 with int8 weights."""
    weights = _weights(numbers)
    if numbers == "fp32":
        operator, inputs, kind = "MatMul", ["x", "w"], FLOAT
        constants = [_tensor("w", weights, FLOAT)]
    else:
        operator, inputs, kind = "QLinearMatMul", ["x", "s", "z", "w", "s", "zw", "sy", "z"], UINT8
        constants = [
            _tensor("w", weights, INT8),
            _tensor("s", np.float32(0.01), FLOAT),
            _tensor("sy", np.float32(1.0), FLOAT),
            _tensor("z", np.uint8(128), UINT8),
            _tensor("zw", np.int8(0), INT8),
        ]
    written = (
        b"".join(field(1, name.encode()) for name in inputs) + field(2, b"y") + field(4, operator.encode())
    )
    graph = field(1, written) + field(2, b"gemm") + b"".join(field(5, one) for one in constants)
    graph += field(11, _value("x", kind, (ROWS, DEPTH))) + field(12, _value("y", kind, (ROWS, COLUMNS)))
    return number_field(1, 8) + field(7, graph) + field(8, number_field(2, 17))


def _tensor(name: str, values: Any, kind: int) -> bytes:
    dims = b"".join(number_field(1, size) for size in np.shape(values))
    return dims + number_field(2, kind) + field(8, name.encode()) + field(9, np.asarray(values).tobytes())


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(field(1, number_field(1, size)) for size in shape)
    return field(1, name.encode()) + field(2, field(1, number_field(1, kind) + field(2, dims)))


def tflite_gemm(numbers: Numbers) -> bytes:
    """``FULLY_CONNECTED``, in int8 with weights per tensor."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    stored = np.ascontiguousarray(_weights(numbers).T)
    integer = numbers == "int8"
    kind = schema.TensorType.INT8 if integer else schema.TensorType.FLOAT32

    def tensor(name: str, shape: tuple[int, ...], buffer: int, scale: float) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), kind, buffer
        if integer:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [0]
        return made

    code, operator, graph, model = (
        schema.OperatorCodeT(),
        schema.OperatorT(),
        schema.SubGraphT(),
        schema.ModelT(),
    )
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if integer else 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.tensors = [
        tensor("x", (ROWS, DEPTH), 0, 0.01),
        tensor("w", stored.shape, 1, 0.01),
        tensor("y", (ROWS, COLUMNS), 0, 1.0),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    empty, constant = schema.BufferT(), schema.BufferT()
    constant.data = np.frombuffer(stored.tobytes(), np.uint8)
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [empty, constant]
    builder = flatbuffers.Builder(stored.nbytes + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
