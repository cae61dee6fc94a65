"""Imitating int8 while a network is trained: where its tensors are rounded, as QuantizeConfigs.

The places follow TFLite's converter and Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference": kernels symmetric with one scale an output channel; each tensor that exists at run
time asymmetric with one scale; none that is fused away, as a batch norm into its convolution and a ReLU into what is
before it. The input is not rounded: pixels are integers already.

tensorflow-model-optimization's own scheme is not used. It knows no Multiply, no Rescaling and batch norm only behind a
convolution, so EfficientNet and ResNetV2 are refused; it gives a depthwise kernel one scale for all channels, leaves
the kernel of a convolution with a ReLU right behind it as it is, and begins with a range of -6..6 for every tensor.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from edgefer.compression.fake_quant import is_relu
from edgefer.compression.tf_keras_checkpoint import assign, values_of
from edgefer.compression.toolkit import toolkit
from edgefer.errors import ConversionError
from edgefer.preprocessing import Floats

# Kernels and where their output channels are: a depthwise kernel is (H, W, channels, multiplier), a transposed one
# (H, W, out, in).
_KERNELS = {
    "Conv2D": (("kernel", -1),),
    "Dense": (("kernel", -1),),
    "DepthwiseConv2D": (("depthwise_kernel", -2),),
    "Conv2DTranspose": (("kernel", -2),),
    "SeparableConv2D": (("depthwise_kernel", -2), ("pointwise_kernel", -1)),
}
# What only moves values, or does nothing once the network is trained.
_PASSING = frozenset(
    {
        "ActivityRegularization", "Cropping2D", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise",
        "GlobalMaxPooling2D", "Identity", "MaxPooling2D", "Permute", "Reshape", "SpatialDropout2D", "ZeroPadding2D",
    }
)  # fmt: skip
_COMPUTING = frozenset(
    {
        "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate", "ELU", "GlobalAveragePooling2D",
        "LeakyReLU", "Maximum", "Minimum", "Multiply", "PReLU", "ReLU", "Rescaling", "Subtract", "UpSampling2D",
    }
)  # fmt: skip
# The range of these functions' values is known beforehand; that of their argument is not.
_BOUNDED = frozenset(("sigmoid", "softmax", "tanh"))


class Places(NamedTuple):
    """Where a layer is rounded: kernels as (attribute, axis of output channels), before its activation, its output."""

    kernels: tuple[tuple[str, int], ...] = ()
    argument: bool = False
    output: bool = False


def places_of(layer: Any) -> Places:
    """Where a layer of a functional tf_keras model is rounded.

    Raises:
        ConversionError: there is no rule for this kind of layer.
    """
    kind, activation = type(layer).__name__, getattr(getattr(layer, "activation", None), "__name__", "")
    if kind in _KERNELS:
        bounded = activation in _BOUNDED
        fused = activation == "linear" and _goes_into_next(layer)
        return Places(_KERNELS[kind], bounded, not bounded and not fused)
    if kind in _PASSING or (kind == "Activation" and activation in {"linear", *_BOUNDED}):
        return Places()
    if kind == "Activation" or kind in _COMPUTING:
        return Places(output=not _goes_into_next(layer))
    raise ConversionError(
        f"layer {layer.name!r} is a {kind}, for which int8 training has no rule",
        hint="leave qat out and quantize after training, or keep the network in float",
    )


def _goes_into_next(layer: Any) -> bool:
    """Whether the converter fuses the one layer that reads this one's output into it."""
    readers = [node.outbound_layer for node in layer._outbound_nodes]
    if len(readers) != 1 or type(layer).__name__ not in {*_KERNELS, "Add", "BatchNormalization", "Multiply"}:
        return False
    if type(readers[0]).__name__ == "BatchNormalization":
        return type(layer).__name__ in _KERNELS
    return is_relu(readers[0])


def imitating_int8(model: Any) -> Any:
    """A copy of a functional tf_keras model that rounds as int8 does; its layers are called ``quant_`` and their name.

    Its ranges are meaningless before ``calibrate``.

    Raises:
        ConversionError: a kind of layer has no rule.
    """
    import tf_keras

    quantization = toolkit().quantization.keras
    config = _config()
    configs = {
        layer.name: config(*places_of(layer))
        for layer in model.layers
        if not isinstance(layer, tf_keras.layers.InputLayer)
    }

    def annotated(layer: Any) -> Any:
        return quantization.quantize_annotate_layer(layer, configs[layer.name])

    with tf_keras.utils.custom_object_scope({config.__name__: config}):
        marked = tf_keras.models.clone_model(model, clone_function=annotated)
        return quantization.quantize_apply(marked, _scheme())


def calibrate(model: Any, batches: Iterable[Floats]) -> None:
    """Set the ranges of ``imitating_int8``'s model to their means over batches (B, H, W, channels).

    The batches are seen as in training, but nothing else of the model changes.
    """
    decays = [variable for variable in model.variables if _name(variable).endswith("_decay")]
    others = [variable for variable in model.variables if not _name(variable).endswith(("_min", "_max"))]
    before = values_of(others)
    for count, batch in enumerate(batches):
        for decay in decays:
            decay.assign(count / (count + 1))
        model(batch, training=True)
    assign(others, before)


def give_back(quantized: Any, model: Any) -> None:
    """Write the weights of ``imitating_int8``'s model, unrounded, into the model it was made of."""
    for layer in model.layers:
        if layer.weights:
            found = {
                _name(variable): variable for variable in quantized.get_layer(f"quant_{layer.name}").weights
            }
            layer.set_weights([found[_name(variable)].numpy() for variable in layer.weights])


def _name(variable: Any) -> str:
    """``kernel`` of ``block_1/conv/kernel:0``."""
    return str(variable.name).rpartition("/")[2].partition(":")[0]


@cache
def _quantizers() -> tuple[type, type]:
    """How kernels and how other tensors are rounded. The bases are there only once the package is imported."""
    import tensorflow as tf
    from tf_keras.initializers import Constant

    base = toolkit().quantization.keras.quantizers.Quantizer

    class KernelQuantizer(base):  # type: ignore[misc, valid-type]
        """Symmetric, steps -127..127 of each output channel's largest value; gradients pass unchanged."""

        def __init__(self, axis: int) -> None:
            self.axis = axis

        def build(self, *_: Any) -> dict[str, Any]:
            return {}

        def __call__(self, inputs: Any, *_: Any, **__: Any) -> Any:
            rank = len(inputs.shape)
            others = [axis for axis in range(rank) if axis != rank + self.axis]
            step = tf.reduce_max(tf.abs(inputs), axis=others, keepdims=True) / 127.0
            rounded = tf.round(tf.math.divide_no_nan(inputs, step)) * step
            return inputs + tf.stop_gradient(rounded - inputs)

        def get_config(self) -> dict[str, Any]:
            return {"axis": self.axis}

    class TensorQuantizer(base):  # type: ignore[misc, valid-type]
        """Asymmetric, 256 steps over the moving average of the batches' ranges."""

        def build(self, _: Any, name: str, layer: Any) -> dict[str, Any]:
            # Jacob et al. want a smoothing parameter close to 1.
            initial = {"min": 0.0, "max": 0.0, "decay": 0.999}
            return {
                kind: layer.add_weight(f"{name}_{kind}", initializer=Constant(value), trainable=False)
                for kind, value in initial.items()
            }

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **_: Any) -> Any:
            low, high, decay = weights["min"], weights["max"], weights["decay"]
            if training:
                # Zero is always one of the steps, as the runtime wants it for padding.
                low.assign(decay * low + (1 - decay) * tf.minimum(tf.reduce_min(inputs), 0.0))
                high.assign(decay * high + (1 - decay) * tf.maximum(tf.reduce_max(inputs), 0.0))
            return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

        def get_config(self) -> dict[str, Any]:
            return {}

    return KernelQuantizer, TensorQuantizer


@cache
def _config() -> Any:
    """``Places`` in the form that tensorflow-model-optimization asks for them."""
    kernel_quantizer, tensor_quantizer = _quantizers()

    class PlacesConfig(toolkit().quantization.keras.QuantizeConfig):  # type: ignore[misc]
        """Rounds what ``places`` says."""

        def __init__(self, kernels: Any, argument: bool, output: bool) -> None:
            self.places = Places(tuple((str(name), int(axis)) for name, axis in kernels), argument, output)

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            return [(getattr(layer, name), kernel_quantizer(axis)) for name, axis in self.places.kernels]

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            for (name, _), weight in zip(self.places.kernels, quantize_weights, strict=True):
                setattr(layer, name, weight)

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return [(layer.activation, tensor_quantizer())] if self.places.argument else []

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            for activation in quantize_activations:
                layer.activation = activation

        def get_output_quantizers(self, _: Any) -> list[Any]:
            return [tensor_quantizer()] if self.places.output else []

        def get_config(self) -> dict[str, Any]:
            return self.places._asdict()

    return PlacesConfig


def _scheme() -> Any:
    """Every layer brings its config and the graph stays as it is."""
    keras = toolkit().quantization.keras

    class Layout(keras.QuantizeLayoutTransform):  # type: ignore[misc, name-defined]
        """Changes nothing."""

        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            return model, layer_quantize_map

    class Scheme(keras.QuantizeScheme):  # type: ignore[misc, name-defined]
        """The package's registry is never asked."""

        def get_layout_transformer(self) -> Any:
            return Layout()

        def get_quantize_registry(self) -> Any:
            return keras.default_8bit.Default8BitQuantizeRegistry()

    return Scheme()
