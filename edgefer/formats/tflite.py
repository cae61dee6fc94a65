"""TFLite files through TensorFlow's converter; builtin ops only, so that a bare runtime can run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.errors import ConversionError
from edgefer.formats.base import (
    FLOAT_OPERATIONS,
    Calibration,
    Converted,
    Export,
    IODtype,
    make_format,
    refusals,
)
from edgefer.formats.keeping import not_of
from edgefer.formats.tflite_compact import compact
from edgefer.formats.tflite_graph import Graph
from edgefer.formats.tflite_int8 import quantize
from edgefer.formats.tflite_sparse import with_sparse_kernels
from edgefer.preprocessing import Pixels
from edgefer.quieting import quiet_native

Configure = Callable[[Any, Any, Export, Calibration | None, IODtype], None]
Finish = Callable[[bytes], bytes]


def _float32(converter: Any, tf: Any, *_: Any) -> None:
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]


def _float16(converter: Any, tf: Any, *_: Any) -> None:
    _dynamic(converter, tf)
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any, tf: Any, *_: Any) -> None:
    _float32(converter, tf)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(
    converter: Any, tf: Any, export: Export, calibration: Calibration | None, io_dtype: IODtype
) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = _samples(export, calibration)
    converter.inference_input_type = converter.inference_output_type = getattr(tf, io_dtype)


def _int16x8(converter: Any, tf: Any, export: Export, calibration: Calibration | None, _: IODtype) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    converter.representative_dataset = _samples(export, calibration)


def _samples(export: Export, calibration: Calibration | None) -> Callable[[], Iterator[dict[str, Any]]]:
    if calibration is None:
        raise ConversionError("this format needs calibration images")
    images = export.feed(_spanning(calibration.pixels) if export.mode == "raw" else calibration.pixels)

    def generate() -> Iterator[dict[str, Any]]:
        for row in range(len(images)):
            yield {"image": images[row : row + 1]}

    return generate


def _spanning(pixels: Pixels) -> Pixels:
    """Make sure that black and white occur: then a quantized input has scale 1 and takes raw pixels.

    One corner pixel of the first and of the last image is enough, and harmless, where a sample does not span the range
    already.
    """
    if pixels.min() == 0 and pixels.max() == 255:
        return pixels
    pixels = pixels.copy()
    pixels[0, 0, 0], pixels[-1, -1, -1] = 0, 255
    return pixels


def _converter(
    precision: str, signature: str, configure: Configure, finish: Finish = bytes
) -> Callable[..., Converted]:
    def export_format(export: Export, calibration: Calibration | None, io_dtype: IODtype) -> Converted:
        import tensorflow as tf

        if calibration and not calibration.plain and precision != "int8":
            raise ConversionError(
                "TFLiteConverter takes the ranges of this precision from the whole network only",
                hint="leave --calibration-method and --keep-float to int8 formats",
            )
        key = signature if export.mode == "raw" else "float32"
        with refusals("TFLiteConverter refuses the network"):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(export.directory), signature_keys=[key])
            configure(converter, tf, export, calibration, io_dtype)
            content = finish(_content(converter, tf, export, calibration, io_dtype))
        payload = export.scratch / f"{precision}.tflite"
        payload.write_bytes(compact(content))
        return Converted(payload, _describe(payload, export), _left_in_float(content, calibration))

    return export_format


def _content(
    converter: Any, tf: Any, export: Export, calibration: Calibration | None, io_dtype: IODtype
) -> bytes:
    if calibration is None or calibration.plain:
        content: bytes = converter.convert()
        return content
    return quantize(converter, _samples(export, calibration), calibration, getattr(tf, io_dtype))


def _left_in_float(content: bytes, calibration: Calibration | None) -> dict[str, Any]:
    """What the lineage tells of operations of an integer file that the converter left in float unasked."""
    from ai_edge_litert.schema_py_generated import TensorType

    if calibration is None:
        return {}
    graph = Graph(content)
    floats = {
        f"{graph.kind(one)} ({'/'.join(graph.name(one.outputs[0]).split('/')[-2:])})": one.outputs[0]
        for one in graph.operators
        if graph.kind(one) != "DEQUANTIZE" and graph.tensor(one.outputs[0]).type == TensorType.FLOAT32
    }
    texts = {told: graph.tensor(number).name.decode() for told, number in floats.items()}
    unasked = not_of(texts, calibration.keep_float)
    return {FLOAT_OPERATIONS: unasked} if unasked else {}


def _describe(payload: Path, export: Export) -> IOSpec:
    """Read names, types and quantization back from the file itself."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_native():
        interpreter = Interpreter(model_path=str(payload))
    image, probabilities = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    io = IOSpec(mode=export.mode, input=_tensor(image), output=_tensor(probabilities))
    if io.mode == "raw" and io.input.scale is not None and abs(io.input.scale - 1.0) > 1e-6:
        raise ConversionError(
            f"{payload.name}: its input has scale {io.input.scale}, raw pixels need 1",
            hint="please report this network; --input float avoids the problem",
        )
    return io


def _tensor(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    shape = tuple(None if n < 0 else int(n) for n in details["shape_signature"])
    quantized = scale != 0.0
    return TensorSpec(
        name=details["name"],
        dtype=np.dtype(details["dtype"]).name,
        shape=shape,
        scale=float(scale) if quantized else None,
        zero_point=int(zero_point) if quantized else None,
    )


FORMATS = (
    make_format("tflite", "fp32", calibrated=False, export=_converter("fp32", "uint8", _float32)),
    make_format("tflite", "fp16", calibrated=False, export=_converter("fp16", "uint8", _float16)),
    make_format("tflite", "dynamic", calibrated=False, export=_converter("dynamic", "uint8", _dynamic)),
    # Full-integer conversion replaces the float input by an integer one itself.
    make_format("tflite", "int8", calibrated=True, export=_converter("int8", "float32", _int8)),
    # The 16x8 kernels have no cast from uint8, so raw pixels come as float32 0..255 there.
    make_format(
        "tflite",
        "int16x8",
        calibrated=True,
        export=_converter("int16x8", "float32", _int16x8),
        own_ranges=True,
    ),
    make_format(
        "tflite",
        "sparse-fp32",
        calibrated=False,
        export=_converter("sparse-fp32", "uint8", _float32, with_sparse_kernels),
        special=True,
    ),
)
