"""What each kind of layer does with the channels that it is given.

A rule takes a ``Call`` and returns the layer's ``Use``; it raises ``UnsupportedError`` where it cannot follow them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgefer.compression.channel_marks import Ids, Marks, Traced, UnsupportedError, Use, Weight

Rule = Callable[["Call"], Use]


class Call(NamedTuple):
    """A layer called on traced tensors; ``output`` is the ``keras.KerasTensor`` that comes out of it."""

    marks: Marks
    layer: Any
    inputs: list[Traced]
    output: Any


_ELEMENTWISE = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "sigmoid", "hard_sigmoid",
    "hard_silu", "hard_tanh", "tanh", "tanh_shrink", "softplus", "softsign", "mish", "exponential", "log_sigmoid",
}  # fmt: skip
_MIXING = {"softmax", "log_softmax", "sparsemax", "sparse_sigmoid"}


def rule_for(layer: Any) -> Rule:
    """The rule for a layer or operation of Keras' own.

    Raises:
        UnsupportedError: there is none for it.
    """
    module = type(layer).__module__
    own = {"layers": _LAYERS, "ops": _OPERATIONS}.get(module.removeprefix("keras.src.").partition(".")[0], {})
    if not module.startswith("keras.src.") or type(layer).__name__ not in own:
        raise UnsupportedError("it is not known what it does with channels")
    return own[type(layer).__name__]


def _keeping(call: Call) -> Use:
    """For what may look at all channels at once: those it reads and those it makes stay."""
    for tensor in call.inputs:
        call.marks.freeze(tensor.ids)
    return Use(call.layer, call.marks.kept(call.output.shape[-1]), untouched(call.layer))


def untouched(layer: Any) -> tuple[Weight, ...]:
    """A layer's weights where none of them shrinks."""
    return tuple(Weight(tuple(weight.shape)) for weight in getattr(layer, "weights", ()))


def _same(call: Call) -> Use:
    """Each channel for itself: activations, pooling, padding, dropout."""
    (tensor,) = call.inputs
    if call.output.shape[-1] != len(tensor.ids):
        raise UnsupportedError("it changes the number of channels")
    return Use(call.layer, tensor.ids, untouched(call.layer))


def _activation(call: Call) -> Use:
    return (_keeping if _mixes(call.layer) else _same)(call)


def _rescaling(call: Call) -> Use:
    plain = np.ndim(call.layer.scale) == 0 and np.ndim(call.layer.offset) == 0
    return (_same if plain else _keeping)(call)


def _mixes(layer: Any) -> bool:
    """Whether a layer's activation lets channels act on each other."""
    function = layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    ours = getattr(function, "__module__", "").startswith("keras.src.activations.")
    if not ours or name not in _ELEMENTWISE | _MIXING:
        raise UnsupportedError(f"its activation {name!r} is not one that treats every channel for itself")
    return name in _MIXING


def _merge(call: Call) -> Use:
    """Channels of equal place meet; a single channel spread over all others stays."""
    if len({len(tensor.spec.shape) for tensor in call.inputs}) > 1:
        raise UnsupportedError("it joins tensors of different ranks")
    wide = [tensor.ids for tensor in call.inputs if len(tensor.ids) == call.output.shape[-1]]
    for tensor in call.inputs:
        if len(tensor.ids) == call.output.shape[-1]:
            call.marks.tie(wide[0], tensor.ids)
        else:
            call.marks.freeze(tensor.ids)
    return Use(call.layer, wide[0])


def _concatenate(call: Call) -> Use:
    if call.layer.axis in (-1, len(call.output.shape) - 1):
        return Use(call.layer, np.concatenate([tensor.ids for tensor in call.inputs]))
    return _merge(call)


def _linear(call: Call) -> Use:
    """Dense layers and convolutions: every new channel is a sum over the old ones."""
    if getattr(call.layer, "groups", 1) != 1:
        return _keeping(call)
    (tensor,) = call.inputs
    made = _made(call.marks, call.layer, call.output)
    transposed = type(call.layer).__name__ == "Conv2DTranspose"
    shape = tuple(call.layer.kernel.shape)
    reads, makes = len(shape) - 2 + transposed, len(shape) - 1 - transposed
    kernel = Weight(
        shape,
        {reads: tensor.ids, makes: made},
        reads=reads,
        makes=makes,
        uses=_positions(tensor.spec if transposed else call.output),
    )
    size = "units" if type(call.layer).__name__ == "Dense" else "filters"
    return Use(call.layer, made, (kernel, *_bias(call.layer, made)), {size: made})


def _depthwise(call: Call) -> Use:
    (tensor,) = call.inputs
    ids = np.repeat(tensor.ids, call.layer.depth_multiplier)
    if _mixes(call.layer):
        call.marks.freeze(ids)
    kernel = Weight(tuple(call.layer.kernel.shape), {2: tensor.ids}, uses=_positions(call.output))
    return Use(call.layer, ids, (kernel, *_bias(call.layer, ids)))


def _separable(call: Call) -> Use:
    (tensor,) = call.inputs
    made = _made(call.marks, call.layer, call.output)
    between = np.repeat(tensor.ids, call.layer.depth_multiplier)
    uses = _positions(call.output)
    depthwise = Weight(tuple(call.layer.depthwise_kernel.shape), {2: tensor.ids}, uses=uses)
    shape = tuple(call.layer.pointwise_kernel.shape)
    pointwise = Weight(shape, {2: between, 3: made}, reads=2, makes=3, uses=uses)
    return Use(call.layer, made, (depthwise, pointwise, *_bias(call.layer, made)), {"filters": made})


def _made(marks: Marks, layer: Any, output: Any) -> Ids:
    return (marks.kept if _mixes(layer) else marks.fresh)(output.shape[-1])


def _bias(layer: Any, ids: Ids) -> tuple[Weight, ...]:
    return (Weight((len(ids),), {0: ids}),) if layer.use_bias else ()


def _batch_norm(call: Call) -> Use:
    (tensor,) = call.inputs
    if call.layer.axis not in (-1, len(call.output.shape) - 1):
        raise UnsupportedError(f"it normalises axis {call.layer.axis}, channels are the last one")
    weights = [Weight((len(tensor.ids),), {0: tensor.ids}) for _ in call.layer.weights]
    if call.layer.scale:
        weights[0] = Weight((len(tensor.ids),), {0: tensor.ids}, scale=True)
    return Use(call.layer, tensor.ids, tuple(weights))


def _prelu(call: Call) -> Use:
    (tensor,) = call.inputs
    shape = tuple(call.layer.alpha.shape)
    # One slope may be shared by all channels.
    own = shape[-1] == len(tensor.ids)
    return Use(call.layer, tensor.ids, (Weight(shape, {len(shape) - 1: tensor.ids} if own else {}),))


def _flatten(call: Call) -> Use:
    (tensor,) = call.inputs
    return Use(call.layer, np.tile(tensor.ids, call.output.shape[-1] // len(tensor.ids)))


def _reshape(call: Call) -> Use:
    """Channels can be followed while the last axis stays, is flattened into one, or comes out of one."""
    (tensor,) = call.inputs
    size, count = call.output.shape[-1], len(tensor.ids)
    if size % count == 0 and len(call.output.shape) == 2:
        ids = np.tile(tensor.ids, size // count)
    elif count % size == 0 and (tensor.ids.reshape(-1, size) == tensor.ids[:size]).all():
        ids = tensor.ids[:size]
    else:
        return _keeping(call)
    return Use(call.layer, ids, settings={"target_shape": (*call.output.shape[1:-1], ids)})


def _positions(tensor: Any) -> int:
    return int(np.prod(tensor.shape[1:-1], dtype=np.int64))


def _table(**rules: tuple[Rule, str]) -> dict[str, Rule]:
    return {kind: rule for rule, kinds in rules.values() for kind in kinds.split()}


_LAYERS = _table(
    same=(
        _same,
        "InputLayer Identity ReLU LeakyReLU ELU Dropout SpatialDropout2D GaussianNoise GaussianDropout "
        "AlphaDropout ActivityRegularization MaxPooling2D AveragePooling2D GlobalMaxPooling2D "
        "GlobalAveragePooling2D ZeroPadding2D Cropping2D UpSampling2D Resizing RandomFlip RandomRotation "
        "RandomTranslation RandomZoom RandomShear RandomCrop RandomBrightness RandomContrast CenterCrop",
    ),
    keeping=(
        _keeping,
        "Softmax LayerNormalization RMSNormalization GroupNormalization UnitNormalization Normalization "
        "EinsumDense Permute",
    ),
    activation=(_activation, "Activation"),
    rescaling=(_rescaling, "Rescaling"),
    merge=(_merge, "Add Subtract Multiply Average Maximum Minimum"),
    concatenate=(_concatenate, "Concatenate"),
    linear=(_linear, "Dense Conv2D Conv2DTranspose"),
    depthwise=(_depthwise, "DepthwiseConv2D"),
    separable=(_separable, "SeparableConv2D"),
    batch_norm=(_batch_norm, "BatchNormalization"),
    prelu=(_prelu, "PReLU"),
    flatten=(_flatten, "Flatten"),
    reshape=(_reshape, "Reshape"),
)
_OPERATIONS = _table(
    same=(_same, "Relu Relu6 Silu Sigmoid HardSigmoid HardSilu Tanh Gelu Elu LeakyRelu Softplus"),
    keeping=(_keeping, "Softmax LogSoftmax"),
    merge=(_merge, "Add Subtract Multiply Maximum Minimum"),
)
