"""LiteRT by the C interface of ``libLiteRt``, which the wheel of ai-edge-litert 2 brings along.

Only what a profile needs. The interface is stable (symbol version ``VERS_1.0``); its kernels are the interpreter's.

Source: litert/c/litert_{environment,model,options,opaque_options,compiled_model,tensor_buffer,profiler,
profiler_event}.h and options/litert_{cpu,runtime}_options.cc of google-ai-edge/LiteRT.
"""

from __future__ import annotations

import ctypes as c
import importlib.util
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edgefer.contract import Loadable, TensorLike
from edgefer.errors import EdgeferError, TargetUnavailableError
from edgefer.runtimes.profiling import Shape

PACKAGE = "ai-edge-litert"
MAJOR = "2"
MAX_RANK = 8
CPU = 1  # kLiteRtHwAcceleratorCpu
HOST_MEMORY = 1  # kLiteRtTensorBufferTypeHostMemory
# LiteRtElementType, as TfLiteType numbers them.
ELEMENTS = {"float32": 1, "uint8": 3, "int16": 7, "int8": 9}
FIRST, ONE = c.c_size_t(0), c.c_size_t(1)
Event = tuple[str, int, int]
"""Tag, LiteRtProfilerEventType, microseconds."""


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


class Library(ExitStack):
    """The loaded library; each call's status is checked, and each handle destroyed at the end, the youngest first.

    Raises:
        TargetUnavailableError: the installed package has no such library.
    """

    def __init__(self) -> None:
        super().__init__()
        self._library = c.CDLL(str(_library_path()))
        self._kept: list[Any] = []

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status.

        Raises:
            EdgeferError: the status is not "ok".
        """
        function = getattr(self._library, name)
        function.restype = c.c_int
        if status := function(*arguments):
            raise EdgeferError(f"LiteRT's {name} failed with status {status}")

    def make(self, name: str, *arguments: Any, destroy: str = "") -> c.c_void_p:
        """Call a function that puts a handle behind its last argument; ``destroy`` names what ends its life."""
        handle = c.c_void_p()
        self.call(name, *arguments, c.byref(handle))
        if destroy:
            self.callback(self._destroy, destroy, handle)
        return handle

    def keep(self, *memory: Any) -> None:
        """Hold on to memory that the library reads while handles are alive."""
        self._kept += memory

    def _destroy(self, name: str, handle: c.c_void_p) -> None:
        function = getattr(self._library, name)
        function.restype = None
        function(handle)


class CompiledModel:
    """A file on the CPU for an input of ``shape`` (batch first), its profiler on; ``mode`` names the kernels.

    Raises:
        EdgeferError: LiteRT refuses the file or the shape.
    """

    def __init__(self, library: Library, artifact: Loadable, mode: str, threads: int, shape: Shape) -> None:
        self._library = library
        environment = library.make("LiteRtCreateEnvironment", 0, None, destroy="LiteRtDestroyEnvironment")
        model = library.make(
            "LiteRtCreateModelFromFile",
            environment,
            str(artifact.path).encode(),
            destroy="LiteRtDestroyModel",
        )
        options = library.make("LiteRtCreateOptions", destroy="LiteRtDestroyOptions")
        library.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        _set(library, options, "runtime_options_string", "enable_profiling = true\n")
        _set(library, options, "xnnpack", f'num_threads = {threads}\nkernel_mode = "{mode}"\n')
        self._model = library.make(
            "LiteRtCreateCompiledModel", environment, model, options, destroy="LiteRtDestroyCompiledModel"
        )
        dims, rank = (c.c_int * len(shape))(*shape), c.c_size_t(len(shape))
        resize = "LiteRtCompiledModelResizeInputTensorNonStrict"
        library.call(resize, self._model, FIRST, FIRST, dims, rank)
        io = artifact.manifest.io
        answer = (shape[0], *(size or 1 for size in io.output.shape[1:]))
        self._image = _buffer(library, environment, io.input, shape)
        self._answer = _buffer(library, environment, io.output, answer)
        self._profiler = library.make("LiteRtCompiledModelGetProfiler", self._model)

    def run(self) -> None:
        """One inference of whatever the input's memory holds."""
        ends = (ONE, c.byref(self._image), ONE, c.byref(self._answer))
        self._library.call("LiteRtRunCompiledModel", self._model, FIRST, *ends)

    def profiled_run(self) -> list[Event]:
        """One inference, and its events in the order they ended."""
        for name in ("LiteRtResetProfiler", "LiteRtStartProfiler"):
            self._library.call(name, self._profiler)
        self.run()
        self._library.call("LiteRtStopProfiler", self._profiler)
        return list(self._events())

    def _events(self) -> Iterator[Event]:
        count = c.c_int()
        self._library.call("LiteRtGetNumProfilerEvents", self._profiler, c.byref(count))
        events = (_Event * count.value)()
        self._library.call("LiteRtGetProfilerEvents", self._profiler, count, events)
        for event in events:
            yield event.tag.decode(), event.kind, event.elapsed_us


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


def _set(library: Library, options: c.c_void_p, name: str, text: str) -> None:
    """Settings travel as TOML text under a name; the memory stays ours, so its destructor does nothing."""
    stays: Callable[..., Any] = c.CFUNCTYPE(None, c.c_void_p)(lambda _: None)
    buffer = c.create_string_buffer(text.encode())
    library.keep(buffer, stays)
    opaque = library.make("LiteRtCreateOpaqueOptions", name.encode(), c.cast(buffer, c.c_void_p), stays)
    library.call("LiteRtAddOpaqueOptions", options, opaque)


def _buffer(library: Library, environment: c.c_void_p, tensor: TensorLike, shape: Shape) -> c.c_void_p:
    """Host memory for one end of the file. Its size is ours to say: where inner shapes follow the batch, LiteRT
    knows the answer's only once it has run.
    """
    kind = _TensorType(ELEMENTS[tensor.dtype], _Layout(rank=len(shape), dims=(c.c_int32 * MAX_RANK)(*shape)))
    size = c.c_size_t(math.prod(shape) * np.dtype(tensor.dtype).itemsize)
    make, destroy = "LiteRtCreateManagedTensorBuffer", "LiteRtDestroyTensorBuffer"
    return library.make(make, environment, HOST_MEMORY, c.byref(kind), size, destroy=destroy)
