"""Core ML packages (ML Programs) through coremltools: a classifier on a grayscale or colour image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.errors import ConversionError
from edgefer.formats.base import Calibration, Converted, Export, IODtype, first_line, make_format
from edgefer.quieting import quiet_native

PROBABILITIES = "classLabel_probs"  # coremltools' fixed name for a classifier's dictionary

Compress = Callable[[Any], Any]


def _float(precision: str) -> Callable[..., Converted]:
    def export_format(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
        return Converted(_package(export, precision), _io(export))

    return export_format


def _compressed(precision: str, compress: Compress) -> Callable[..., Converted]:
    """Weights compressed on top of the float16 program."""

    def export_format(export: Export, _calibration: Calibration | None, _io_dtype: IODtype) -> Converted:
        payload = export.scratch / f"{precision}.mlpackage"
        base = _package(export, "fp16")
        with quiet_native():
            import coremltools as ct

            compress(ct.models.MLModel(str(base), skip_model_load=True)).save(str(payload))
        return Converted(payload, _io(export))

    return export_format


def _int8_weights(model: Any) -> Any:
    """Linear symmetric int8 weights, one scale an output channel."""
    import coremltools.optimize as cto

    config = cto.coreml.OptimizationConfig(cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric"))
    return cto.coreml.linear_quantize_weights(model, config)


def _palettes(bits: int) -> Compress:
    """Weights replaced by a k-means look-up table of 2**bits values a layer."""

    def compress(model: Any) -> Any:
        import coremltools.optimize as cto

        config = cto.coreml.OptimizationConfig(cto.coreml.OpPalettizerConfig(mode="kmeans", nbits=bits))
        return cto.coreml.palettize_weights(model, config)

    return compress


def _package(export: Export, precision: str) -> Path:
    """The float package of a precision, made once for all formats of a call."""
    payload = export.scratch / f"{precision}.mlpackage"
    if not payload.exists():
        try:
            with quiet_native():
                _convert(export, precision).save(str(payload))
        except Exception as error:  # coremltools raises whatever its passes raise
            raise ConversionError(f"coreml: coremltools refuses the network ({first_line(error)})") from error
    return payload


def _convert(export: Export, precision: str) -> Any:
    import coremltools as ct
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    saved = tf.saved_model.load(str(export.directory))  # owns the variables while the signature is used
    return ct.convert(
        [convert_variables_to_constants_v2(saved.signatures["float32"])],
        source="tensorflow",
        convert_to="mlprogram",
        inputs=[_input_type(ct, export)],
        classifier_config=ct.ClassifierConfig(list(export.labels.names)),
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS17,
        skip_model_load=True,
    )


def _input_type(ct: Any, export: Export) -> Any:
    shape = (1, *export.shape)
    if export.mode == "float":
        return ct.TensorType(name="image", shape=shape)
    layout = ct.colorlayout.GRAYSCALE if export.shape[2] == 1 else ct.colorlayout.RGB
    return ct.ImageType(name="image", shape=shape, color_layout=layout, channel_first=False)


def _io(export: Export) -> IOSpec:
    dtype = "uint8" if export.mode == "raw" else "float32"
    return IOSpec(
        mode=export.mode,
        input=TensorSpec(name="image", dtype=dtype, shape=(1, *export.shape)),
        output=TensorSpec(name=PROBABILITIES, dtype="float32", shape=(1, len(export.labels))),
    )


FORMATS = (
    make_format("coreml", "fp32", calibrated=False, export=_float("fp32")),
    make_format("coreml", "fp16", calibrated=False, export=_float("fp16")),
    make_format("coreml", "int8", calibrated=False, export=_compressed("int8", _int8_weights)),
    make_format("coreml", "pal6", calibrated=False, export=_compressed("pal6", _palettes(6))),
    make_format("coreml", "pal4", calibrated=False, export=_compressed("pal4", _palettes(4))),
)
