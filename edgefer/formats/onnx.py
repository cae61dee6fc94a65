"""ONNX files: tf2onnx for the graph, ONNX Runtime's own tools for float16 and static QDQ int8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.errors import ConversionError
from edgefer.formats.base import Calibration, Converted, Export, IODtype, make_format, refusals
from edgefer.formats.calibration import AFFINE, ranges
from edgefer.formats.keeping import kept
from edgefer.formats.onnx_compact import compact
from edgefer.formats.onnx_float import keep_in_float

OPSET = 17  # the newest that every runtime release of the last years reads and tf2onnx writes


def _fp32(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
    return Converted(_float_graph(export), _io(export))


def _fp16(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    payload = export.scratch / "fp16.onnx"
    graph = _float_graph(export)
    with refusals("ONNX Runtime cannot make the network float16"):
        model = onnx.load(graph)
        onnx.save(convert_float_to_float16(model, keep_io_types=True), payload)
    return Converted(payload, _io(export))


def _int8(export: Export, calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
    """Static quantization: Q/DQ pairs, int8 weights per output channel, uint8 activations."""
    import onnx
    from onnxruntime import quantization as q

    if calibration is None:
        raise ConversionError("this format needs calibration images")
    prepared, payload = _prepared(export), export.scratch / "int8.onnx"
    float_nodes = _nodes_kept_float(prepared, calibration)
    with refusals("ONNX Runtime cannot quantize the network", "try onnx-fp32 or onnx-fp16"):
        cache = None if calibration.method == "minmax" else _ranges_file(prepared, export, calibration)
        q.quantize_static(
            str(prepared),
            str(payload),
            _Feeds(export, calibration),
            quant_format=q.QuantFormat.QDQ,
            per_channel=True,
            # x86 without VNNI adds two products in 16 bits, which saturate; weights of 7 bits leave them room.
            reduce_range=True,
            weight_type=q.QuantType.QInt8,
            # On x86 ONNX Runtime leaves additions and products of signed tensors in float, and the layers beside
            # them too. Of unsigned ones, the same codes moved by 128, it makes integer kernels.
            activation_type=q.QuantType.QUInt8,
            nodes_to_exclude=float_nodes,
            calibration_cache_path=cache,
        )
        model = onnx.load(payload)
        keep_in_float(model, float_nodes)
        compact(model)
        onnx.save(model, payload)
    return Converted(payload, _io(export))


def _ranges_file(prepared: Path, export: Export, calibration: Calibration) -> Path:
    """The chosen ranges of all float tensors, in the form of ONNX Runtime's cache of its own calibration.

    Its own histogram calibrators are not used: they hold all activations of all images in memory, make ranges
    symmetric (half the codes of a ReLU's output are lost), and know no squared error.
    """
    from onnxruntime.quantization import calibrate as c

    calibrator = c.create_calibrator(
        prepared,
        augmented_model_path=str(export.scratch / "augmented.onnx"),
        calibrate_method=c.CalibrationMethod.Percentile,
    )
    names = sorted(calibrator.tensors_to_calibrate)

    def passes() -> Iterator[dict[str, Any]]:
        feeds = _Feeds(export, calibration)
        while (feed := feeds.get_next()) is not None:
            yield dict(zip(names, calibrator.infer_session.run(names, feed), strict=True))

    found = ranges(passes, calibration.method, AFFINE, whole={"image", "probabilities"})
    limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}
    path = export.scratch / f"ranges-{calibration.method}.json"
    c.save_tensors_data(c.TensorsData(c.CalibrationMethod.MinMax, limits), path)
    return path


def _nodes_kept_float(prepared: Path, calibration: Calibration) -> list[str]:
    import onnx

    if not calibration.keep_float:
        return []
    graph = onnx.load(prepared).graph
    constants = {one.name for one in graph.initializer}
    texts = {}
    for node in graph.node:
        own = ";".join((node.name, *node.output))
        # A convolution that took a batch norm in has a number for a name; its weights say where they are from.
        texts[node.name] = own if "/" in own else ";".join(name for name in node.input if name in constants)
    return kept(texts, calibration.keep_float)


def _prepared(export: Export) -> Path:
    """The float32 file, simplified and with the shape of every tensor, as the quantizer wants it."""
    from onnxruntime.quantization import shape_inference

    graph, prepared = _float_graph(export).resolve(), (export.scratch / "prepared.onnx").resolve()
    refused = refusals("ONNX Runtime cannot infer the network's shapes", "try onnx-fp32 or onnx-fp16")
    # It leaves scratch files in the current folder, above all when it fails.
    with refused, chdir(export.scratch):
        # Attention works the batch's size out twice; of two unknown sizes that meet, both are the batch's.
        shape_inference.quant_pre_process(str(graph), str(prepared), auto_merge=True)
    return prepared


class _Feeds:
    """Calibration images one by one, as ONNX Runtime's CalibrationDataReader wants them."""

    def __init__(self, export: Export, calibration: Calibration) -> None:
        images = calibration.pixels if export.mode == "raw" else export.feed(calibration.pixels)
        self._feeds = iter({"image": images[row : row + 1]} for row in range(len(images)))

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _float_graph(export: Export) -> Path:
    """The float32 ONNX file, made once for all formats of a call."""
    payload = export.scratch / "fp32.onnx"
    if not payload.exists():
        with refusals("tf2onnx refuses the network"):
            payload.write_bytes(_convert(export))
    return payload


def _convert(export: Export) -> bytes:
    import tensorflow as tf
    import tf2onnx

    dtype = tf.uint8 if export.mode == "raw" else tf.float32
    saved = tf.saved_model.load(str(export.directory))  # owns the variables while the signature is used
    signature = saved.signatures[dtype.name]
    function = tf.function(lambda image: {"probabilities": signature(image=image)["probabilities"]})
    model, _ = tf2onnx.convert.from_function(
        function, [tf.TensorSpec((None, *export.shape), dtype, name="image")], opset=OPSET
    )
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    _without_erfc(model.graph)
    content: bytes = model.SerializeToString()
    return content


def _without_erfc(graph: Any) -> None:
    """Put 1 - Erf(x) for Erfc(x), which tf2onnx leaves as it is and ONNX does not have: exact GELU comes to it."""
    from onnx import helper, numpy_helper

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        (given,), (result,) = node.input, node.output
        one, erf = f"{result}_one", f"{result}_erf"
        graph.initializer.append(numpy_helper.from_array(np.float32(1), one))
        nodes += [
            helper.make_node("Erf", [given], [erf], name=erf),
            helper.make_node("Sub", [one, erf], [result], name=node.name),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _io(export: Export) -> IOSpec:
    dtype = "uint8" if export.mode == "raw" else "float32"
    image = TensorSpec(name="image", dtype=dtype, shape=(None, *export.shape))
    return IOSpec(
        mode=export.mode,
        input=image,
        output=TensorSpec(name="probabilities", dtype="float32", shape=(None, len(export.labels))),
    )


FORMATS = (
    make_format("onnx", "fp32", calibrated=False, export=_fp32),
    make_format("onnx", "fp16", calibrated=False, export=_fp16),
    make_format("onnx", "int8", calibrated=True, export=_int8),
)
