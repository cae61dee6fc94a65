"""What an operation is for, from the names that ONNX Runtime, TFLite and XNNPACK give their kernels."""

from __future__ import annotations

from edgefer.explaining.record import Group, Numbers

DEPTHWISE = ("DWConv", "DEPTHWISE_CONV")
DENSE = (
    "Conv",
    "CONV_2D",
    "CONV_3D",
    "Fully Connected",
    "FULLY_CONNECTED",
    "Gemm",
    "MatMul",
    "Batch Matrix",
    "BATCH_MATMUL",
)
QUANTIZE = ("uantize", "QUANTIZE", "Cast", "CAST", "Convert (")
POOL = ("Pool", "POOL", "Mean", "MEAN", "Reduce", "SUM")
LAYOUT = (
    "Transpose", "TRANSPOSE", "Reorder", "Reshape", "RESHAPE", "Squeeze", "SQUEEZE", "Flatten", "Concat", "CONCAT",
    "Slice", "SLICE", "Gather", "GATHER", "Shape", "SHAPE", "PACK", "Pad", "PAD", "Copy", "EXPAND_DIMS", "Expand",
    "Memcpy",
)  # fmt: skip
ROOTS = ("StatefulPartitionedCall", "PartitionedCall")
WHOLE_WORDS: dict[str, Group] = {"QLinearConv": "dense", "QLinearMatMul": "dense", "Convert": "quantize"}


def group_of(kind: str) -> Group:
    """The group of a kernel; what is none of the others works element by element."""
    if kind in WHOLE_WORDS:
        return WHOLE_WORDS[kind]
    table: tuple[tuple[Group, tuple[str, ...]], ...] = (
        ("depthwise", DEPTHWISE),
        ("quantize", QUANTIZE),
        ("pool", POOL),
        ("dense", DENSE),
        ("layout", LAYOUT),
    )
    return next((group for group, words in table if any(word in kind for word in words)), "elementwise")


def numbers_of(kind: str, dtype: str = "") -> Numbers:
    """What a kernel computes in: from its element type, or from the types in XNNPACK's name for it."""
    if dtype:
        return "float" if "float" in dtype.lower() else "int8"
    if any(mark in kind for mark in ("QC8", "QS8", "QU8", "QD8", "QC4")):
        return "int8"
    return "float" if any(mark in kind for mark in ("F32", "F16")) else ""


def short(name: str) -> str:
    """The Keras layer and its operation in a converter's name, ``root/root/model/layer/operation:0;merged/…``."""
    parts = [part for part in name.partition(";")[0].partition(":")[0].split("/") if part not in ROOTS]
    return "/".join(parts[1:3] or parts)
