"""Whether an execution provider loads here: ONNX Runtime lists what it was built with, whatever its libraries need."""

from __future__ import annotations

from functools import cache

from edgefer.protobuf import field, number_field
from edgefer.quieting import quiet_native


@cache
def loads(provider: str) -> bool:
    """Whether a session asked for ``provider`` gets it; without its libraries ONNX Runtime opens one on the CPU."""
    import onnxruntime as ort

    with quiet_native():
        try:
            session = ort.InferenceSession(identity(), providers=[provider])
        except (
            Exception
        ):  # its exception classes share no public base; whatever it is, the provider does not load
            return False
    return provider in session.get_providers()


def identity() -> bytes:
    """A model of one node, y = x with x float32 (1,), as ``onnx.proto`` lays it out."""
    node = field(1, b"x") + field(2, b"y") + field(4, b"Identity")
    graph = field(1, node) + field(2, b"probe") + field(11, _vector(b"x")) + field(12, _vector(b"y"))
    return number_field(1, 8) + field(7, graph) + field(8, number_field(2, 17))


def _vector(name: bytes) -> bytes:
    shape = field(1, number_field(1, 1))
    return field(1, name) + field(2, field(1, number_field(1, 1) + field(2, shape)))
