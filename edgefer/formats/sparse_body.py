"""What of a float TFLite file XNNPACK can run with its kernels for sparse weights.

Those kernels work channel by channel (NCHW). XNNPACK takes them for a part of a network that begins with a 3x3
convolution of three channels with stride 2, ends with a mean over space, and holds nothing between but 1x1
convolutions, depthwise ones of 3x3 or 5x5, sums and activations, if more than two thirds of the weights that it counts
are zero. Convolutions over space must be padded by half a kernel on either side. Source: XNNPACK's subgraph.c,
``xnn_check_nchw_compatibility`` and ``xnn_subgraph_rewrite_for_nchw``; Elsen et al. 2019, "Fast Sparse ConvNets".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edgefer.errors import ConversionError
from edgefer.formats.tflite_graph import Graph

POINTWISE = ("ADD", "RELU", "RELU6")
DEPTHWISE_SIDES = (3, 5)
SAME, VALID = 0, 1
"""``Padding`` of the schema."""
STEM_CHANNELS = (1, 3)
"""One channel becomes three without another result."""

_NO = "XNNPACK has no sparse kernels for this network"
_HINT = "tflite-fp32 or tflite-int8 take it as it is"

Pair = tuple[int, int]


class Window(NamedTuple):
    """A convolution over space: ``operator`` and the padding operator that it has to itself, if any.

    ``source`` is the tensor that is padded, ``sizes`` its height and width, ``side`` of the kernel; ``before`` and
    ``after`` are the zeros along both axes, by the operator and by "same" together.
    """

    operator: Any
    padding: Any
    source: int
    sizes: Pair
    side: int
    stride: int
    before: Pair
    after: Pair


class Body(NamedTuple):
    """``windows`` are the stem, which comes first, and the depthwise convolutions; ``dots`` the 1x1 ones."""

    windows: list[Window]
    dots: list[Any]


def find_body(graph: Graph) -> Body:
    """The part from the first convolution to the mean over space.

    Raises:
        ConversionError: XNNPACK would run it densely; what is in the way is named.
    """
    body, inside, ended = Body([], []), set[int](), False
    for operator in graph.operators:
        kind = graph.kind(operator)
        if not body.windows:
            if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                body.windows.append(_stem(graph, operator))
                inside.add(int(operator.outputs[0]))
        elif not inside.isdisjoint(operator.inputs):
            if kind == "MEAN" and _over_space(graph, operator):
                ended = True
                continue
            _take(graph, operator, body, inside)
            inside.add(int(operator.outputs[0]))
    if not ended:
        raise ConversionError(f"{_NO}: it has no convolutions with a mean over space behind them", hint=_HINT)
    return body


def refusal(graph: Graph, operator: Any, why: str) -> ConversionError:
    """What says that ``operator`` is in the way of sparse kernels, and why."""
    return ConversionError(f"{_NO}: {graph.name(operator.outputs[0])} {why}", hint=_HINT)


def _stem(graph: Graph, operator: Any) -> Window:
    weights = graph.shape(operator.inputs[1])
    if graph.kind(operator) != "CONV_2D" or weights[1:3] != (3, 3) or weights[3] not in STEM_CHANNELS:
        raise refusal(graph, operator, "is not a 3x3 convolution of 1 or 3 channels")
    window = _window(graph, operator)
    if window.stride != 2:
        raise refusal(graph, operator, f"has stride {window.stride}, not 2")
    return window


def _take(graph: Graph, operator: Any, body: Body, inside: set[int]) -> None:
    kind = graph.kind(operator)
    if kind == "CONV_2D":
        body.dots.append(_dot(graph, operator))
    elif kind == "DEPTHWISE_CONV_2D":
        if graph.shape(operator.inputs[1])[1] not in DEPTHWISE_SIDES:
            raise refusal(graph, operator, "has another kernel than 3x3 or 5x5")
        body.windows.append(_window(graph, operator))
    elif kind == "PAD":
        if [graph.kind(one) for one in graph.consumers(operator.outputs[0])] != ["DEPTHWISE_CONV_2D"]:
            raise refusal(graph, operator, "pads what no depthwise convolution takes")
    elif kind not in POINTWISE:
        raise refusal(graph, operator, f"is {kind}")
    elif not inside.issuperset(operator.inputs):
        raise refusal(graph, operator, "adds something from elsewhere")


def _dot(graph: Graph, operator: Any) -> Any:
    options = operator.builtinOptions
    if graph.shape(operator.inputs[1])[1:3] != (1, 1) or (options.strideH, options.strideW) != (1, 1):
        raise refusal(graph, operator, "is neither 1x1 with stride 1 nor depthwise")
    if graph.constant(operator.inputs[1]) is None:
        raise refusal(graph, operator, "has no constant float32 weights")
    return operator


def _window(graph: Graph, operator: Any) -> Window:
    options, (_, height, width, _) = operator.builtinOptions, graph.shape(operator.inputs[1])
    plain = (options.dilationHFactor, options.dilationWFactor, getattr(options, "depthMultiplier", 1))
    if height != width or options.strideH != options.strideW or options.strideH > 2 or plain != (1, 1, 1):
        raise refusal(graph, operator, "is not square, or has a dilation, a multiplier or a stride above 2")
    if graph.constant(operator.inputs[1]) is None:
        raise refusal(graph, operator, "has no constant float32 weights")
    padding, source = _padding(graph, int(operator.inputs[0]))
    sizes = graph.shape(source)[1:3]
    stated = graph.constant(padding.inputs[1])[1:3] if padding else np.zeros((2, 2), np.int64)  # type: ignore[index]
    ends = [
        _ends(int(size), pair, height, options.strideH, same=options.padding == SAME)
        for size, pair in zip(sizes, stated, strict=True)
    ]
    (top, bottom), (left, right) = ends
    return Window(
        operator, padding, source, (sizes[0], sizes[1]), height, options.strideH, (top, left), (bottom, right)
    )


def _padding(graph: Graph, value: int) -> tuple[Any, int]:
    """The operator that pads ``value`` over space and for one convolution alone, if so; what is padded."""
    operator = graph.producer(value)
    if operator is None or graph.kind(operator) != "PAD" or len(graph.consumers(value)) > 1:
        return None, value
    stated = graph.constant(operator.inputs[1])
    if stated is None or stated.shape != (4, 2) or stated[[0, 3]].any():
        return None, value
    return operator, int(operator.inputs[0])


def _ends(size: int, stated: Any, side: int, stride: int, *, same: bool) -> Pair:
    """Zeros before and after one axis."""
    before, after = int(stated[0]), int(stated[1])
    if not same:
        return before, after
    # TensorFlow's rule: ceil(size / stride) outputs, the odd zero at the end.
    padded = size + before + after
    need = max((-(-padded // stride) - 1) * stride + side - padded, 0)
    return before + need // 2, after + need - need // 2


def _over_space(graph: Graph, operator: Any) -> bool:
    axes = graph.constant(operator.inputs[1])
    return axes is not None and sorted(axes.reshape(-1).tolist()) == [1, 2]
