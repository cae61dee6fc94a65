"""int8 TFLite files with ranges of one's own choice, or with some operations left in float.

TFLiteConverter works in two steps: a float file that carries each tensor's observed range, and its quantizer, which
reads them there. Between the two the ranges are replaced; the quantizer takes the names of operations to leave alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgefer.formats.base import Calibration
from edgefer.formats.calibration import AFFINE, ranges
from edgefer.formats.keeping import kept

Samples = Callable[[], Iterator[dict[str, Any]]]


def quantize(converter: Any, samples: Samples, calibration: Calibration, io_type: Any) -> bytes:
    """Run a converter that is set up for int8, with the ranges and exceptions of ``calibration``.

    ``samples()`` yields the feeds ``{"image": (1, H, W, C)}``; ``io_type`` is the TensorFlow type at both ends.

    Raises:
        ConversionError: a layer to be kept in float is not found.
    """
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.tools import flatbuffer_utils

    converter._experimental_calibrate_only = True
    observed = converter.convert()
    model = flatbuffer_utils.convert_bytearray_to_object(observed)
    graph = model.subgraphs[0]
    if calibration.method != "minmax":
        _set_ranges(
            graph,
            ranges(
                _passes(observed, samples, _observed(graph)), calibration.method, AFFINE, whole=_ends(graph)
            ),
        )
    content: bytes = mlir_quantize(
        bytes(flatbuffer_utils.convert_object_to_bytearray(model)),
        input_data_type=io_type,
        output_data_type=io_type,
        denylisted_nodes=set(_kept_float(graph, calibration)) or None,
    )
    return content


def _observed(graph: Any) -> list[int]:
    """Numbers of the tensors that carry a range."""
    return [number for number, tensor in enumerate(graph.tensors) if tensor.quantization.min is not None]


def _ends(graph: Any) -> set[int]:
    return {int(number) for number in (*graph.inputs, *graph.outputs)}


def _passes(content: bytes, samples: Samples, numbers: list[int]) -> Callable[[], Iterator[dict[int, Any]]]:
    """Runs of the float file; every tensor is kept, which no delegate does."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def passes() -> Iterator[dict[int, Any]]:
        interpreter = Interpreter(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        (image,) = interpreter.get_input_details()
        for sample in samples():
            interpreter.set_tensor(image["index"], sample["image"])
            interpreter.invoke()
            yield {number: interpreter.get_tensor(number) for number in numbers}

    return passes


def _set_ranges(graph: Any, found: dict[int, Any]) -> None:
    for number, (low, high) in found.items():
        quantization = graph.tensors[number].quantization
        quantization.min, quantization.max = np.array([[low], [high]], np.float32)


def _kept_float(graph: Any, calibration: Calibration) -> list[str]:
    if not calibration.keep_float:
        return []
    outputs = [graph.tensors[operator.outputs[0]].name.decode() for operator in graph.operators]
    return kept({name: name for name in outputs}, calibration.keep_float)
