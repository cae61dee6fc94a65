"""Float Core ML packages (ML Programs) through coremltools.

A package is a classifier on one grayscale or colour image, which Core ML knows as such; or, since a classifier's
probabilities must have a fixed shape, arrays of images in and arrays of probabilities out, for some batch sizes. These
are listed and are no range, because of a range Core ML runs only the default on the Neural Engine.
Sources: apple/coremltools#2764 and #2793; an Apple engineer in developer.apple.com/forums/thread/724930.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from edgefer.artifact import IOSpec, TensorSpec
from edgefer.formats.base import Export, refusals

INPUT = "image"
PROBABILITIES = "classLabel_probs"  # coremltools' fixed name for a classifier's dictionary
ARRAY = "probabilities"

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
        with refusals("coremltools refuses the network"):
            _convert(export, precision, system).save(str(payload))
    return payload


def io_of(export: Export) -> IOSpec:
    """How a package of an export is fed and read."""
    if export.batches:
        return IOSpec(
            mode=export.mode,
            input=TensorSpec(name=INPUT, dtype="float32", shape=(None, *export.shape)),
            output=TensorSpec(name=ARRAY, dtype="float32", shape=(None, len(export.labels))),
            batches=export.batches,
        )
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

    model = ct.convert(
        [_frozen(export)],
        source="tensorflow",
        convert_to="mlprogram",
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        minimum_deployment_target=ct.target[system],
        skip_model_load=True,
        **(_array_ends(ct, export) if export.batches else _classifier_ends(ct, export)),
    )
    return _with_named_output(ct, model) if export.batches else model


def _classifier_ends(ct: Any, export: Export) -> dict[str, Any]:
    return {
        "inputs": [_input_type(ct, export)],
        "classifier_config": ct.ClassifierConfig(list(export.labels.names)),
    }


def _array_ends(ct: Any, export: Export) -> dict[str, Any]:
    """Float32 at both ends, which apps and numpy have; coremltools' default would be the program's type."""
    import numpy as np

    shapes = [(batch, *export.shape) for batch in export.batches]
    taken = ct.EnumeratedShapes(shapes, default=shapes[0])
    return {
        "inputs": [ct.TensorType(name=INPUT, shape=taken, dtype=np.float32)],
        "outputs": [ct.TensorType(dtype=np.float32)],
    }


def _with_named_output(ct: Any, model: Any) -> Any:
    """The model with its only output under our name; TensorFlow's own says nothing."""
    description = model.get_spec()
    ct.utils.rename_feature(description, description.description.output[0].name, ARRAY)
    return ct.models.MLModel(description, weights_dir=model.weights_dir, skip_model_load=True)


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
