"""From a backbone to the SavedModel that every format of a call starts from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.artifact import IOMode
from edgefer.backbones.base import Backbone
from edgefer.backbones.merging import merged
from edgefer.errors import ConversionError, InputError
from edgefer.formats.base import Export, first_line
from edgefer.formats.folding import raw_model
from edgefer.formats.reshaping import with_constant_shapes
from edgefer.preprocessing import Floats, Pixels
from edgefer.quieting import quiet_native
from edgefer.spec import InputSpec

# The export computes the same sums in another order; a mistake in it is orders of magnitude larger.
EXPORT_TOLERANCE = 1e-4


def export_backbone(backbone: Backbone, mode: IOMode, scratch: Path, batches: tuple[int, ...] = ()) -> Export:
    """Write ``backbone`` as a SavedModel below ``scratch``; ``batches`` are what Core ML files are to list."""
    import keras
    import tensorflow as tf

    function, resource, folded = _function(backbone, mode)
    spec = backbone.input
    shape = (None, spec.height, spec.width, spec.pixel_channels if mode == "raw" else spec.channels)
    archive = keras.export.ExportArchive()
    archive.track(resource)
    directory = scratch / "savedmodel"
    with _calls_opened():
        archive.add_endpoint(
            "float32", lambda image: {"probabilities": function(image)}, [_tensor(tf, shape, tf.float32)]
        )
        if mode == "raw":
            archive.add_endpoint(
                "uint8",
                lambda image: {"probabilities": function(tf.cast(image, tf.float32))},
                [_tensor(tf, shape, tf.uint8)],
            )
        _write(archive, directory)
    return Export(directory, scratch, mode, folded, spec, backbone.labels, batches)


@contextmanager
def _calls_opened() -> Iterator[None]:
    """Have functions that layers compile for themselves traced as part of the graph that calls them.

    Keras compiles grouped convolutions so, and neither coremltools nor ONNX Runtime looks into a call.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _write(archive: Any, directory: Path) -> None:
    import tensorflow as tf

    # Gradients, which nobody asks an exported network for, cost a third of the time of writing and reading it.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        archive.write_out(str(directory), options=options, verbose=False)
    except tf.errors.OpError as error:  # what a full disk looks like from TensorFlow's native code
        raise InputError(
            f"{directory}: the export could not be written ({first_line(error)})",
            hint="free some space there, or name another place with TMPDIR",
        ) from error


def check_export(export: Export, pixels: Pixels, expected: Floats) -> None:
    """Run the SavedModel on uint8 images (N, H, W, pixel channels) and compare with the backbone's outputs.

    Raises:
        ConversionError: they differ by more than the tolerance.
    """
    import tensorflow as tf

    with quiet_native():  # it warns of the gradients that were left out
        saved = tf.saved_model.load(str(export.directory))  # owns the variables while the signature is used
    outputs = np.asarray(saved.signatures["float32"](image=tf.constant(export.feed(pixels)))["probabilities"])
    difference = float(np.max(np.abs(outputs - expected)))
    if not difference <= EXPORT_TOLERANCE:
        raise ConversionError(
            f"the exported network differs from the backbone by {difference:.2g}",
            hint="please report this network; --input float leaves its first layer alone",
        )


def _tensor(tf: Any, shape: tuple[int | None, ...], dtype: Any) -> Any:
    return tf.TensorSpec(shape, dtype, name="image")


def _function(backbone: Backbone, mode: IOMode) -> tuple[Any, Any, bool]:
    """(callable from the exported input to probabilities, what holds its weights, folded)."""
    if not backbone.trainable:
        return _savedmodel_function(backbone, mode)
    model = with_constant_shapes(merged(backbone.model))
    if mode == "float":
        return (lambda image: model(image, training=False)), model, False
    raw = raw_model(model, backbone.input)
    return (lambda image: raw.model(image, training=False)), raw.model, raw.folded


def _savedmodel_function(backbone: Backbone, mode: IOMode) -> tuple[Any, Any, bool]:
    signature = backbone.model.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    (output,) = signature.structured_outputs

    def run(image: Any) -> Any:
        floats = _preprocessed(image, backbone.input) if mode == "raw" else image
        return signature(**{name: floats})[output]

    return run, backbone.model, False


def _preprocessed(image: Any, spec: InputSpec) -> Any:
    """``preprocessing.to_floats`` as TensorFlow ops."""
    import tensorflow as tf

    if spec.color == "bgr":
        image = tf.reverse(image, [-1])
    if spec.pixel_channels != spec.channels:
        image = tf.concat([image] * spec.channels, axis=-1)
    return image * tf.constant(spec.scale, tf.float32) + tf.constant(spec.offset, tf.float32)
