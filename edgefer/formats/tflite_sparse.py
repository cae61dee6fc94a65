"""Float TFLite files whose zeros are left out, by the file and by XNNPACK's kernels.

Those kernels want zeros of padding to be the same on either side (``sparse_body``). TensorFlow's "same" with stride 2
puts the odd one behind an even number of pixels: upside down and mirrored it stands in front, and another behind does
no window any harm. So a network of that kind is turned by 180 degrees, its kernels and its image; the mean over space
at the end does not see it. A gray stem gets two more channels, whose weights are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer.errors import ConversionError
from edgefer.formats.sparse_body import VALID, Body, Window, find_body, refusal
from edgefer.formats.tflite_graph import Array, Graph

# XNNPACK: "zeroes * 3 <= params * 2" is dense.
LEAST = 2 / 3


def with_sparse_kernels(content: bytes) -> bytes:
    """The float32 file ``content`` so that XNNPACK takes its sparse kernels where a processor has them.

    Raises:
        ConversionError: too few weights are zero, or the network is not of the kind those kernels are for.
    """
    graph = Graph(content)
    body = find_body(graph)
    _require_zeros(graph, body)
    turned = _must_turn(graph, body)
    for window in body.windows:
        if turned:
            _turn_kernel(graph, window.operator)
    _give_image(graph, body.windows[0], turned)
    for window in body.windows[1:]:
        _pad_evenly(graph, window, window.source)
    for operator in body.dots:
        _leave_zeros_out(graph, operator)
    return graph.content()


def _require_zeros(graph: Graph, body: Body) -> None:
    """Versions of XNNPACK differ in whether dense layers behind the body count: both ways have to do."""
    behind = [one for one in graph.operators if graph.kind(one) == "FULLY_CONNECTED"]
    for counted in (body.dots, [*body.dots, *behind]):
        arrays = [values for one in counted if (values := graph.constant(one.inputs[1])) is not None]
        weights, zeros = sum(a.size for a in arrays), sum(int(np.sum(a == 0)) for a in arrays)
        if zeros <= LEAST * weights:
            raise ConversionError(
                f"{zeros / max(weights, 1):.0%} of the weights of 1x1 convolutions are zero; XNNPACK's sparse kernels "
                f"want more than {LEAST:.0%}",
                hint="make them zero first: edgefer compress --stage magnitude --set magnitude.sparsity=0.8",
            )


def _must_turn(graph: Graph, body: Body) -> bool:
    """Whether the network fits only when turned by 180 degrees.

    Raises:
        ConversionError: it fits neither way.
    """
    for turned in (False, True):
        misfits = [one for one in body.windows if not _fits(graph, one, turned)]
        if not misfits:
            return turned
    window = misfits[0]
    zeros = ", ".join(f"{pair}" for pair in zip(window.before, window.after, strict=True))
    why = f"is padded by {zeros} zeros (before, after), not by {window.side // 2} on either side"
    raise refusal(graph, window.operator, why)


def _fits(graph: Graph, window: Window, turned: bool) -> bool:
    """Whether padding by half a kernel on either side gives the same windows: one more at the end is none."""
    half, outputs = window.side // 2, graph.shape(window.operator.outputs[0])[1:3]
    first = window.after if turned else window.before
    even = [(size + 2 * half - window.side) // window.stride + 1 for size in window.sizes]
    return first == (half, half) and tuple(even) == outputs


def _turn_kernel(graph: Graph, operator: Any) -> None:
    weights = _weights(graph, operator)
    operator.inputs[1] = graph.add_constant("turned_kernel", weights[:, ::-1, ::-1])


def _weights(graph: Graph, operator: Any) -> Array:
    """Constant float32 weights, which ``find_body`` requires of every convolution of a body."""
    weights = graph.constant(operator.inputs[1])
    assert weights is not None
    return weights


def _give_image(graph: Graph, stem: Window, turned: bool) -> None:
    """Give the stem the pixels it wants: turned or not, of three channels, padded."""
    value = stem.source
    for axis in (1, 2) if turned else ():  # one axis an operator: earlier versions of it take no more
        source, value = value, graph.add_like(value, f"turned_{axis}")
        axes = graph.add_constant(f"turned_{axis}_axis", np.array([axis], np.int32))
        graph.insert(_first(stem), "REVERSE_V2", [source, axes], value, options="ReverseV2Options")
    weights = _weights(graph, stem.operator)
    if (missing := 3 - weights.shape[3]) > 0:
        source, value = value, graph.add_like(value, "three_channels", (*graph.shape(value)[:3], 3))
        graph.insert(
            _first(stem), "CONCATENATION", [source] * 3, value, options="ConcatenationOptions", axis=3
        )
        wide = np.pad(weights, [(0, 0), (0, 0), (0, 0), (0, missing)])
        stem.operator.inputs[1] = graph.add_constant("kernel_of_three_channels", wide)
    _pad_evenly(graph, stem, value)


def _first(window: Window) -> Any:
    return window.operator if window.padding is None else window.padding


def _pad_evenly(graph: Graph, window: Window, value: int) -> None:
    """Let the convolution take ``value``, with half a kernel of zeros around it.

    XNNPACK makes numbers of "same" itself where the stride is 1, and only there.
    """
    if window.padding is not None:
        graph.operators.remove(window.padding)
    if window.stride > 1 or window.padding is not None:
        half, shape = window.side // 2, graph.shape(value)
        amounts = np.array([(0, 0), (half, half), (half, half), (0, 0)], np.int32)
        grown = (shape[0], shape[1] + 2 * half, shape[2] + 2 * half, shape[3])
        padded = graph.add_like(value, "padded_evenly", grown)
        zeros = graph.add_constant(f"zeros_{half}", amounts)
        graph.insert(window.operator, "PAD", [value, zeros], padded, options="PadOptions")
        window.operator.builtinOptions.padding, value = VALID, padded
    window.operator.inputs[0] = value


def _leave_zeros_out(graph: Graph, operator: Any) -> None:
    """Store the weights compressed, if that is shorter, and an operator that tells a dense runtime to fill them up."""
    weights, name = _weights(graph, operator), graph.name(operator.inputs[1])
    if (sparse := graph.add_sparse(f"{name}_sparse", weights)) is None:
        return
    dense = graph.add_like(operator.inputs[1], f"{name}_dense")
    graph.insert(operator, "DENSIFY", [sparse], dense, options="DensifyOptions")
    operator.inputs[1] = dense
