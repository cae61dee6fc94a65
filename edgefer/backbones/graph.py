"""Walking a Keras 3 network: calling its layers anew, and counting what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from edgefer.spec import Cost

Caller = Callable[..., Any]


def replay(model: Any, value: Any, call: Caller) -> Any:
    """Run ``value`` through all layers of ``model`` in order, nested models opened.

    ``call(layer, *args, **kwargs)`` decides what a layer does; what it returns is handed on, tensor or not.
    """
    import keras

    def enter(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nested = isinstance(layer, (keras.Sequential, keras.Model)) and _is_graph(layer)
        return replay(layer, args[0], call) if nested else call(layer, *args, **kwargs)

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            value = enter(layer, value)
        return value

    def operation(layer: Any) -> Caller:
        return lambda *args, **kwargs: enter(layer, *args, **kwargs)

    return model._run_through_graph(value, operation)


def _is_graph(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.Sequential) or hasattr(layer, "_run_through_graph")


def operations(model: Any) -> Iterator[Any]:
    """The layers of ``model`` and the plain operations between them, nested models opened."""
    import keras

    for one in model.layers if isinstance(model, keras.Sequential) else model.operations:
        if isinstance(one, keras.Model) and _is_graph(one):
            yield from operations(one)
        elif not isinstance(one, keras.layers.InputLayer):
            yield one


class Call(NamedTuple):
    """One layer at work in a network: the symbolic tensors it takes and the one it makes."""

    layer: Any
    inputs: tuple[Any, ...]
    output: Any


def calls(model: Any) -> list[Call]:
    """Every call of a layer in a Keras network with a fixed input size, in order, nested models opened."""
    import keras

    found: list[Call] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        given = keras.tree.flatten((args, kwargs))
        found.append(Call(layer, tuple(v for v in given if isinstance(v, keras.KerasTensor)), output))
        return output

    replay(model, keras.KerasTensor(model.inputs[0].shape), call)
    return found


def consumers(of: Call, among: list[Call]) -> list[Call]:
    """The calls that take what ``of`` makes; none of the network's last."""
    return [call for call in among if any(tensor is of.output for tensor in call.inputs)]


def cost_of(model: Any) -> Cost:
    """Count parameters, multiply-accumulates and layers of a Keras network with a fixed input size."""
    network = calls(model)
    macs = sum(macs_of(call) for call in network)
    return Cost(parameters=model.count_params(), macs=macs, layers=len(network))


def macs_of(call: Call) -> int:
    """Multiply-accumulates of one layer at work on one image."""
    import keras

    layer, inputs, output = call
    if isinstance(layer, (keras.layers.Attention, keras.layers.EinsumDense)):
        return _matmul_macs(layer, inputs, output)
    if isinstance(layer, (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)):
        return _heads_macs(layer)
    if isinstance(layer, keras.layers.Dense):
        return int(layer.kernel.shape[0] * layer.kernel.shape[1] * _pixels(output))
    if isinstance(layer, (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)):
        depthwise = _size(layer.depthwise_kernel) * _pixels(output)
        return int(depthwise + _size(layer.pointwise_kernel) * _pixels(output))
    if isinstance(layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose)):
        return int(_size(layer.kernel) * _pixels(inputs[0]))
    plain = (keras.layers.Conv1D, keras.layers.Conv2D)
    if isinstance(layer, (*plain, keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        return int(_size(layer.kernel) * _pixels(output))
    return 0


def _matmul_macs(layer: Any, inputs: tuple[Any, ...], output: Any) -> int:
    """Scores and weighted sums of dot-product attention; or one einsum of a tensor with a kernel."""
    import keras

    if isinstance(layer, keras.layers.Attention):
        query, value = inputs[0].shape, inputs[1].shape
        return int(query[1] * value[1] * (query[2] + value[2]))
    # Each output value sums over the input's axes that the output has no more.
    left, result = layer.equation.replace("...", "").split("->")
    factor, kernel = left.split(",")
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    summed = [sizes[axis] for axis in kernel if axis in factor and axis not in result]
    return math.prod((*output.shape[1:], *summed))


def _heads_macs(layer: Any) -> int:
    """Projections, scores and weighted sums of attention that projects what it is given for each head."""
    import keras

    # Queries, values and keys may be given by name, in any order: what the layer was built for tells them apart.
    shapes = layer.get_build_config()["shapes_dict"]
    queries, values = (math.prod(shapes[name][1:-1]) for name in ("query_shape", "value_shape"))
    projections = (one for one in layer._flatten_layers() if isinstance(one, keras.layers.EinsumDense))
    projected = sum(
        _size(one.kernel) * (values if one.name in ("key", "value") else queries) for one in projections
    )
    if isinstance(layer, keras.layers.GroupQueryAttention):
        return int(projected + layer.num_query_heads * queries * values * 2 * layer.head_dim)
    seen = math.prod(shapes["value_shape"][axis] for axis in layer.attention_axes)
    return int(projected + layer.num_heads * queries * seen * (layer.key_dim + layer.value_dim))


def _size(weight: Any) -> int:
    size = 1
    for dimension in weight.shape:
        size *= dimension
    return size


def _pixels(tensor: Any) -> int:
    """Positions of a tensor (N, …, C) for one image."""
    size = 1
    for dimension in tensor.shape[1:-1]:
        size *= dimension
    return size
