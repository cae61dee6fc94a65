"""Float Core ML packages (ML Programs) through coremltools: a classifier on a grayscale or colour image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.errors import ConversionError
from edgefer.formats.base import Export, first_line
from edgefer.quieting import quiet_native

INPUT = "image"
PROBABILITIES = "classLabel_probs"  # coremltools' fixed name for a classifier's dictionary

Precision = Literal["fp32", "fp16"]
System = Literal["iOS17", "iOS18"]

SPECIFICATIONS: dict[System, int] = {"iOS17": 8, "iOS18": 9}


def float_package(export: Export, precision: Precision, system: System = "iOS17") -> Path:
    """The float package of a precision for a system and later ones, made once for all formats of a call.

    Raises:
        ConversionError: coremltools refuses the network.
    """
    payload = export.scratch / f"{precision}-{system}.mlpackage"
    if not payload.exists():
        try:
            with quiet_native():
                _convert(export, precision, system).save(str(payload))
        except Exception as error:  # coremltools raises whatever its passes raise
            raise ConversionError(f"coreml: coremltools refuses the network ({first_line(error)})") from error
    return payload


def io_of(export: Export) -> IOSpec:
    """How a package of an export is fed and read."""
    dtype = "uint8" if export.mode == "raw" else "float32"
    return IOSpec(
        mode=export.mode,
        input=TensorSpec(name=INPUT, dtype=dtype, shape=(1, *export.shape)),
        output=TensorSpec(name=PROBABILITIES, dtype="float32", shape=(1, len(export.labels))),
    )


def graph_names(export: Export) -> dict[str, str]:
    """Names of the exported graph's operations by what coremltools makes of them: ``a/b_1/c`` by ``a_b_1_c``."""
    return {re.sub(r"\W", "_", node.name): node.name for node in _frozen(export).graph.as_graph_def().node}


def _convert(export: Export, precision: Precision, system: System) -> Any:
    import coremltools as ct

    return ct.convert(
        [_frozen(export)],
        source="tensorflow",
        convert_to="mlprogram",
        inputs=[_input_type(ct, export)],
        classifier_config=ct.ClassifierConfig(list(export.labels.names)),
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        minimum_deployment_target=ct.target[system],
        skip_model_load=True,
    )


def _frozen(export: Export) -> Any:
    """The exported function with its weights as constants."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    saved = tf.saved_model.load(str(export.directory))  # owns the variables while the signature is used
    return convert_variables_to_constants_v2(saved.signatures["float32"])


def _input_type(ct: Any, export: Export) -> Any:
    shape = (1, *export.shape)
    if export.mode == "float":
        return ct.TensorType(name=INPUT, shape=shape)
    layout = ct.colorlayout.GRAYSCALE if export.shape[2] == 1 else ct.colorlayout.RGB
    return ct.ImageType(name=INPUT, shape=shape, color_layout=layout, channel_first=False)
