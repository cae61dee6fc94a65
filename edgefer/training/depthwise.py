"""Depthwise convolutions of maps that are smaller than the kernel, padded before they are convolved.

A small face leaves a network that was made for a large one maps of 2x2 pixels and fewer. There TensorFlow's operation,
where it pads itself, takes ten times as long for the kernel's gradient on a CPU without AVX-512: it has no kernel of
its own for a map that the padding outweighs.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def can_be_padded(layer: Any) -> bool:
    """Whether ``layer`` was made for a map (N, H, W, C) with a side shorter than the kernel's, which it pads."""
    import keras

    if type(layer) is not keras.layers.DepthwiseConv2D or layer.padding != "same":
        return False
    if layer.data_format != "channels_last" or max(layer.dilation_rate) > 1:
        return False
    sides = layer.get_build_config()["input_shape"][1:3]
    return any(side and side < kernel for side, kernel in zip(sides, layer.kernel_size, strict=True))


@cache
def padded_class() -> Any:
    """The class of the layer; made on demand, for Keras takes seconds to import."""
    import keras

    class PaddedDepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]  # Keras is untyped
        """``DepthwiseConv2D`` with the padding of "same" as an operation of its own."""

        def call(self, inputs: Any) -> Any:
            sides = inputs.shape[1:3]
            if None in sides:  # a layer in several places, here on maps of any size
                return super().call(inputs)
            around = [_padding(*side) for side in zip(sides, self.kernel_size, self.strides, strict=True)]
            padded = keras.ops.pad(inputs, [(0, 0), *around, (0, 0)])
            outputs = keras.ops.depthwise_conv(padded, self.kernel, strides=self.strides, padding="valid")
            if self.use_bias:
                outputs = keras.ops.add(outputs, self.bias)
            return outputs if self.activation is None else self.activation(outputs)

    return PaddedDepthwiseConv2D


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind, as "same" has them: an odd one is behind."""
    windows = -(-side // stride)
    missing = max((windows - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2
