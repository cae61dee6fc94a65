"""Batch normalisation as one TensorFlow operation.

Keras composes the layer of a dozen operations forwards and more backwards. On a CPU these take over half of the time
in which a small network trains; TensorFlow's own operation, with its gradient, takes a third of that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# TensorFlow's operation silently takes a smaller one for this.
_LEAST_EPSILON = 1.001e-5


def can_be_fused(layer: Any) -> bool:
    """Whether the operation computes what ``layer`` does: channels last in (N, H, W, C), both scale and offset."""
    import keras

    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.scale
        and layer.center
        and not layer.renorm
        and not layer.synchronized
        and layer.epsilon >= _LEAST_EPSILON
    )


@cache
def fused_class() -> Any:
    """The class of the layer; made on demand, for Keras takes seconds to import."""
    import keras

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras is untyped
        """``BatchNormalization`` of inputs (N, H, W, C) in one operation in training; outside, as Keras has it."""

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            statistics = training and self.trainable
            # A run begun under TensorFlow may be resumed under another backend.
            if not statistics or mask is not None or keras.backend.backend() != "tensorflow":
                return super().call(inputs, training=training, mask=mask)
            import tensorflow as tf

            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs,
                tf.convert_to_tensor(self.gamma),
                tf.convert_to_tensor(self.beta),
                epsilon=self.epsilon,
                is_training=True,
            )
            count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
            # The operation's variance is the sample's, over count - 1; Keras keeps the batch's own.
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance * (count - 1) / count)
            return outputs

        def _follow(self, moving: Any, value: Any) -> None:
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))

    return FusedBatchNormalization
