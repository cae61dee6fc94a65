"""TFLite files without what they say twice.

A quantized tensor states a scale and a zero point for each channel, and its zero points are all 0: eight bytes a
channel, for weights and again for biases. The format lets tables point at one array, which the converter's writer does
not use. A fused operation's output also carries the names of all that was fused; the first is that of its last part.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy.typing as npt

IDENTIFIER = b"TFL3"
# ``Buffer.data`` in TensorFlow Lite's schema.fbs is ``force_align: 16``, which Python's writer does not know of.
_ALIGNMENT = 16


def compact(content: bytes) -> bytes:
    """The same model with equal arrays stored once and a single name a tensor; its two ends keep theirs."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        ends = {int(number) for number in (*graph.inputs, *graph.outputs)}
        for number, tensor in enumerate(graph.tensors):
            if number not in ends:
                tensor.name = tensor.name.partition(b";")[0]
    builder = _SharingBuilder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc] # the package has no types
    """Writes an array that equals an earlier one as a reference to that."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: npt.NDArray[Any]) -> int:  # noqa: N802 - the package's name
        key = x.dtype.str, x.tobytes()
        if key not in self._places:
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)
