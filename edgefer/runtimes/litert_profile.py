"""LiteRT's profile by its C interface: per operation, also of those that XNNPACK runs inside its delegate.

The Python interpreter has no profiler; the library that the wheel of ai-edge-litert 2 brings along, ``libLiteRt``, has
one behind its stable C interface (symbol version ``VERS_1.0``). Its kernels are the interpreter's.

Source: litert/c/litert_{environment,model,options,opaque_options,compiled_model,tensor_buffer,profiler,
profiler_event}.h and options/litert_{cpu,runtime}_options.cc of google-ai-edge/LiteRT.
"""

from __future__ import annotations

import ctypes as c
import importlib.util
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.contract import Loadable, TensorLike
from edgefer.errors import EdgeferError, TargetUnavailableError
from edgefer.quieting import quiet_native
from edgefer.runtimes.profiling import Op, Profile, Run, Shape, quieter_half

PACKAGE = "ai-edge-litert"
MAJOR = "2"
CPU = 1  # kLiteRtHwAcceleratorCpu
HOST_MEMORY = 1  # kLiteRtTensorBufferTypeHostMemory
MODES = {"XNNPACK": "delegate", "builtin kernels": "builtin", "reference kernels": "reference"}
# LiteRtProfilerEventType
DEFAULT, OPERATOR, DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR = 1, 2, 4, 8
INVOKE = "Invoke"
DELEGATE = "Delegate"
MAX_RANK = 8


class _Layout(c.Structure):
    """``rank`` shares its word with a flag for strides, which is not set."""

    _fields_ = (("rank", c.c_uint), ("dims", c.c_int32 * MAX_RANK), ("strides", c.c_uint32 * MAX_RANK))


class _TensorType(c.Structure):
    _fields_ = (("element", c.c_int), ("layout", _Layout))


class _Event(c.Structure):
    _fields_ = (
        ("tag", c.c_char_p),
        ("kind", c.c_int),
        ("start_us", c.c_uint64),
        ("elapsed_us", c.c_uint64),
        ("memory_before", c.c_size_t * 3),
        ("memory_after", c.c_size_t * 3),
        ("node", c.c_uint64),
        ("extra", c.c_uint64),
        ("origin", c.c_int),
    )


def profile(kernels: str, artifact: Loadable, threads: int, shape: Shape, runs: int) -> Profile:
    """Profile ``runs`` inferences of an input of ``shape`` (batch first), after a quarter as many uncounted ones.

    The input is what the memory holds: these kernels take the same time for all values.

    Raises:
        TargetUnavailableError: the installed package has no such library.
        EdgeferError: it refuses the file.
    """
    with quiet_native(), ExitStack() as cleanup:
        run, profiler, library = _open(cleanup, kernels, artifact, threads, shape)
        for _ in range(runs // 4 + 1):
            run()
        rounds = []
        for _ in range(runs):
            library.call("LiteRtResetProfiler", profiler)
            library.call("LiteRtStartProfiler", profiler)
            run()
            library.call("LiteRtStopProfiler", profiler)
            rounds.append(list(_events(library, profiler)))
    return read(rounds, kernels)


def read(rounds: Sequence[Sequence[tuple[str, int, int]]], kernels: str) -> Profile:
    """Rounds of (tag, event type, microseconds) as one profile.

    Raises:
        EdgeferError: the rounds differ, or one holds no inference.
    """
    try:
        return quieter_half([_run(events, kernels) for events in rounds], "LiteRT's profiler", 1e3)
    except ValueError as error:
        raise EdgeferError(f"LiteRT's profile cannot be averaged: {error}") from error


def _run(events: Sequence[tuple[str, int, int]], kernels: str) -> Run:
    whole = [us for tag, kind, us in events if tag == INVOKE and kind == DEFAULT]
    if len(whole) != 1:
        raise ValueError(f"{len(whole)} inferences in one round")
    return Run(1e3 * whole[0], tuple(op for event in events if (op := _op(event, kernels))))


def _op(event: tuple[str, int, int], kernels: str) -> Op | None:
    """An operator's event; None for a delegate's as a whole, whose operations have events of their own."""
    tag, kind, us = event
    if kind in (DELEGATE_OPERATOR, PROFILED_DELEGATE_OPERATOR):
        return Op(tag, tag, kernels, us * 1e3)
    if kind != OPERATOR or DELEGATE in tag or tag == "DELEGATE":
        return None
    return Op(tag, tag, "builtin kernels" if kernels == "XNNPACK" else kernels, us * 1e3)


class _Library:
    """``libLiteRt``; each call's status is checked. ``kept`` is memory that it reads while handles are alive."""

    def __init__(self) -> None:
        self._library = c.CDLL(str(_library_path()))
        self.kept: list[Any] = []

    def call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name)
        function.restype = c.c_int
        if status := function(*arguments):
            raise EdgeferError(f"LiteRT's {name} failed with status {status}")

    def make(self, name: str, *arguments: Any) -> c.c_void_p:
        """Call a function that puts a handle behind its last argument."""
        handle = c.c_void_p()
        self.call(name, *arguments, c.byref(handle))
        return handle

    def destroy(self, name: str, handle: c.c_void_p) -> None:
        function = getattr(self._library, name)
        function.restype = None
        function(handle)


def _library_path() -> Path:
    wanted = f"per-layer times need {PACKAGE} {MAJOR}.x; run: pip install 'edgefer[tflite]'"
    try:
        release = version(PACKAGE)
    except PackageNotFoundError:
        raise TargetUnavailableError(wanted) from None
    package = importlib.util.find_spec("ai_edge_litert")
    if release.partition(".")[0] != MAJOR or package is None or package.origin is None:
        raise TargetUnavailableError(f"{wanted}; here is {release}")
    folder = Path(package.origin).parent
    found = [path for name in ("libLiteRt.so", "libLiteRt.dylib") if (path := folder / name).exists()]
    if not found:
        raise TargetUnavailableError(f"{PACKAGE} {release} brings no libLiteRt on this system")
    return found[0]


def _open(
    cleanup: ExitStack, kernels: str, artifact: Loadable, threads: int, shape: Shape
) -> tuple[Any, c.c_void_p, _Library]:
    """A compiled model with its buffers: what runs it, its profiler and the library."""
    library = _Library()

    def owned(destroyer: str, handle: c.c_void_p) -> c.c_void_p:
        cleanup.callback(library.destroy, destroyer, handle)
        return handle

    environment = owned("LiteRtDestroyEnvironment", library.make("LiteRtCreateEnvironment", 0, None))
    model = owned(
        "LiteRtDestroyModel",
        library.make("LiteRtCreateModelFromFile", environment, str(artifact.path).encode()),
    )
    options = owned("LiteRtDestroyOptions", library.make("LiteRtCreateOptions"))
    library.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    settings = {
        "runtime_options_string": "enable_profiling = true\n",
        "xnnpack": f'num_threads = {threads}\nkernel_mode = "{MODES[kernels]}"\n',
    }
    _add_settings(library, options, settings)
    compiled = owned(
        "LiteRtDestroyCompiledModel", library.make("LiteRtCreateCompiledModel", environment, model, options)
    )
    first, dims = c.c_size_t(0), (c.c_int * len(shape))(*shape)
    resize = "LiteRtCompiledModelResizeInputTensorNonStrict"
    library.call(resize, compiled, first, first, dims, c.c_size_t(len(shape)))
    image = owned(
        "LiteRtDestroyTensorBuffer", _buffer(library, environment, artifact.manifest.io.input, shape)
    )
    answer = (shape[0], *(size or 1 for size in artifact.manifest.io.output.shape[1:]))
    result = owned(
        "LiteRtDestroyTensorBuffer", _buffer(library, environment, artifact.manifest.io.output, answer)
    )

    def run() -> None:
        one = c.c_size_t(1)
        library.call("LiteRtRunCompiledModel", compiled, first, one, c.byref(image), one, c.byref(result))

    return run, library.make("LiteRtCompiledModelGetProfiler", compiled), library


def _buffer(library: _Library, environment: c.c_void_p, tensor: TensorLike, shape: Shape) -> c.c_void_p:
    """Host memory for one end of the file. Its size is ours to say: where inner shapes follow the batch, LiteRT
    knows the answer's only once it has run.
    """
    kind = _TensorType(ELEMENTS[tensor.dtype], _Layout(rank=len(shape), dims=(c.c_int32 * MAX_RANK)(*shape)))
    size = c.c_size_t(math.prod(shape) * np.dtype(tensor.dtype).itemsize)
    return library.make("LiteRtCreateManagedTensorBuffer", environment, HOST_MEMORY, c.byref(kind), size)


# LiteRtElementType, as TfLiteType numbers them.
ELEMENTS = {"float32": 1, "uint8": 3, "int16": 7, "int8": 9}


def _add_settings(library: _Library, options: c.c_void_p, settings: dict[str, str]) -> None:
    """Settings travel as TOML text under a name; the memory stays ours."""
    kept = c.CFUNCTYPE(None, c.c_void_p)(lambda _: None)
    for name, text in settings.items():
        buffer = c.create_string_buffer(text.encode())
        opaque = library.make("LiteRtCreateOpaqueOptions", name.encode(), c.cast(buffer, c.c_void_p), kept)
        library.call("LiteRtAddOpaqueOptions", options, opaque)
        library.kept += (buffer, kept)


def _events(library: _Library, profiler: c.c_void_p) -> Iterator[tuple[str, int, int]]:
    """(tag, event type, microseconds), in the order they happened."""
    count = c.c_int()
    library.call("LiteRtGetNumProfilerEvents", profiler, c.byref(count))
    events = (_Event * count.value)()
    library.call("LiteRtGetProfilerEvents", profiler, count, events)
    for event in events:
        yield event.tag.decode(), event.kind, event.elapsed_us
