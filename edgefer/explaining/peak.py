"""The machine's peak as an inference can see it: one large matrix product through the artifact's own runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgefer.errors import TargetUnavailableError
from edgefer.explaining import gemm_files
from edgefer.explaining.gemm_files import COLUMNS, DEPTH, ROWS, Numbers
from edgefer.explaining.record import Peak
from edgefer.quieting import quiet_native
from edgefer.runtimes import litert, onnx
from edgefer.runtimes.base import Runtime

NUMBERS: tuple[Numbers, ...] = ("int8", "fp32")
Run = Callable[[], object]


def products(runtime: Runtime, threads: int) -> dict[Numbers, Run]:
    """A call of the product for each arithmetic, ready to be timed beside the artifact.

    Raises:
        TargetUnavailableError: no product is known for this runtime.
    """
    if runtime.id not in MAKERS:
        raise TargetUnavailableError(
            f"the peak through {runtime.id} cannot be measured yet", hint="try --target cpu"
        )
    return {numbers: MAKERS[runtime.id](numbers, threads) for numbers in NUMBERS}


def peaks(container: str, seconds: Mapping[Numbers, float]) -> tuple[Peak, ...]:
    """What was reached, from the seconds of the quickest call of each product."""
    what = {
        ("onnx", "int8"): "QLinearMatMul, uint8 by int8",
        ("onnx", "fp32"): "MatMul",
        ("tflite", "int8"): "FULLY_CONNECTED, int8",
        ("tflite", "fp32"): "FULLY_CONNECTED, float32",
    }
    return tuple(
        Peak(
            numbers=numbers,
            macs_per_s=gemm_files.MACS / seconds[numbers],
            how=f"{what[container, numbers]}, {ROWS}x{DEPTH} by {DEPTH}x{COLUMNS}",
        )
        for numbers in NUMBERS
    )


def _onnx(numbers: Numbers, threads: int) -> Run:
    import onnxruntime as ort

    session = ort.InferenceSession(gemm_files.onnx_gemm(numbers), onnx.options(threads), providers=[onnx.CPU])
    return partial(session.run, ["y"], {"x": gemm_files.feed(numbers, signed=False)})


def _tflite(kernels: str, numbers: Numbers, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet_native():
        interpreter: Any = Interpreter(
            model_content=gemm_files.tflite_gemm(numbers),
            num_threads=threads,
            experimental_op_resolver_type=getattr(OpResolverType, litert.RESOLVERS[kernels]),
        )
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], gemm_files.feed(numbers, signed=True))
    return partial(interpreter.invoke)


MAKERS: dict[str, Callable[[Numbers, int], Run]] = {
    "onnxruntime": _onnx,
    "litert": partial(_tflite, "XNNPACK"),
    "litert-builtin": partial(_tflite, "builtin kernels"),
    "litert-reference": partial(_tflite, "reference kernels"),
}
