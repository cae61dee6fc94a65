"""ONNX files on NVIDIA cards: ONNX Runtime's CUDA and TensorRT execution providers.

A runtime a setting. Inputs and outputs lie on the card before the clock starts and stay there (IO binding), except for
``onnxruntime-cuda-copies``, which pays for both copies, from and to ordinary (not pinned) memory. With a CUDA graph
the launches of one batch size are recorded once and replayed. Kernels of fp32 files use no TF32 unless the setting
says so.

Which provider ran each node is read back from ONNX Runtime's profile, never assumed: ``explain`` names every node that
fell to the CPU, and a session none of whose nodes ran on the card is a ``TargetMismatchError``.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from edgefer.contract import Loadable
from edgefer.errors import TargetMismatchError, TargetUnavailableError
from edgefer.preprocessing import Floats, Pixels
from edgefer.quieting import quiet_native
from edgefer.runtimes import onnx
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.feeding import dequantize, feed_for
from edgefer.runtimes.nvidia import first_card
from edgefer.runtimes.onnx_probe import loads
from edgefer.runtimes.profiling import Profile

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
PROBE_RUNS = 1
GRAPH = "enable_cuda_graph"


@dataclass(frozen=True)
class Setting:
    """How a file is run: execution providers with their options, first choice first, and where its ends lie.

    ``device`` is where inputs and outputs lie, as ONNX Runtime calls it. ``copies``: both are copied from and to the
    host within the timed run. ``words`` say what ``executed_on`` adds to the provider.
    """

    providers: tuple[tuple[str, dict[str, str]], ...]
    device: str = "cuda"
    copies: bool = False
    words: str = ""

    @property
    def provider(self) -> str:
        """The one that is asked for."""
        return self.providers[0][0]

    @property
    def graphs(self) -> bool:
        """Whether launches are recorded and replayed."""
        return self.providers[0][1].get(GRAPH) == "1"


@dataclass
class Bound:
    """A feed whose ends lie on the device; ``host`` is the input before it was copied there."""

    binding: Any
    image: Any
    answer: Any
    host: Any
    options: Any = field(default=None)


class BoundSession:
    """One ONNX file by IO binding; ``threads`` are those of nodes that fall to the CPU.

    Raises:
        TargetUnavailableError: the execution provider is not built into the installed ONNX Runtime.
        TargetMismatchError: ONNX Runtime opened the session without that provider.
    """

    def __init__(self, setting: Setting, artifact: Loadable, threads: int) -> None:
        if lack := missing(setting):
            raise TargetUnavailableError(f"{artifact.path}: {lack}")
        self._setting = setting
        if setting.device == "cuda":
            _load_libraries()
        self._session = onnx.open_session(artifact, onnx.options(threads), setting.providers)
        self._io = artifact.manifest.io
        self._spec = artifact.manifest.input
        chain = ", then ".join(name for name, _ in setting.providers if name != onnx.CPU) or onnx.CPU
        words = f"; {setting.words}" if setting.words else ""
        self.executed_on = f"onnxruntime {onnx.release()} ({chain}{words})"

    def prepare(self, pixels: Pixels) -> Any:
        """Pixels to arrays on the device, bound to the session, with room for the answer beside them."""
        import onnxruntime as ort

        feed = feed_for(pixels, self._spec, self._io)
        device, answer = self._setting.device, self._io.output
        shape = [len(feed), *(size or 1 for size in answer.shape[1:])]
        bound = Bound(
            binding=self._session.io_binding(),
            image=ort.OrtValue.ortvalue_from_numpy(feed, device, 0),
            answer=ort.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(answer.dtype), device, 0),
            host=feed,
        )
        if self._setting.graphs:
            # A graph holds the shapes and addresses of its recording, so each batch size has its own.
            bound.options = ort.RunOptions()
            bound.options.add_run_config_entry("gpu_graph_id", str(len(feed)))
        bound.binding.bind_ortvalue_input(self._io.input.name, bound.image)
        bound.binding.bind_ortvalue_output(answer.name, bound.answer)
        bound.binding.synchronize_inputs()
        return bound

    def run(self, feed: Any) -> Any:
        """One inference, waited for; the answer stays on the device unless copies are timed."""
        if self._setting.copies:
            feed.image.update_inplace(feed.host)
        self._session.run_with_iobinding(feed.binding, feed.options)
        feed.binding.synchronize_outputs()
        return feed.answer.numpy() if self._setting.copies else feed.answer

    def decode(self, outputs: Any) -> Floats:
        """To probabilities float32 (N, classes)."""
        return dequantize(outputs if self._setting.copies else outputs.numpy(), self._io.output)


def missing(setting: Setting) -> str:
    """What a setting needs that is not here; "" if nothing."""
    if lack := onnx.missing():
        return lack
    import onnxruntime as ort

    provider = setting.provider
    needs = f"needs {provider}: an NVIDIA GPU, the package onnxruntime-gpu instead of onnxruntime"
    if provider != TENSORRT:
        return "" if provider in ort.get_available_providers() else needs
    # The package is built with TensorRT and comes without its libraries.
    if provider in ort.get_available_providers():
        _load_libraries()
        if loads(provider):
            return ""
    return f"{needs} and TensorRT's libraries"


def profile(setting: Setting, artifact: Loadable, threads: int, pixels: Pixels, runs: int) -> Profile:
    """The profile of a file under ``setting``."""
    if lack := missing(setting):
        raise TargetUnavailableError(f"{artifact.path}: {lack}")
    if setting.device == "cuda":
        _load_libraries()
    # Replayed graphs leave no nodes in a profile; their recording ran the same ones.
    without = tuple(
        (name, {k: v for k, v in given.items() if k != GRAPH}) for name, given in setting.providers
    )
    return onnx.profiled(artifact, onnx.options(threads), without, pixels, runs)


def explain(setting: Setting, artifact: Loadable) -> dict[str, Any]:
    """Which provider ran how many nodes, and the names of those that fell to the CPU.

    Raises:
        TargetMismatchError: not one node ran where it was asked to.
    """
    height, width = artifact.manifest.input.height, artifact.manifest.input.width
    image = np.zeros((1, height, width, artifact.manifest.input.pixel_channels), np.uint8)
    found = profile(setting, artifact, 1, image, PROBE_RUNS)
    return {**placement(artifact, setting.provider, found), **card()}


def placement(artifact: Loadable, provider: str, found: Profile) -> dict[str, Any]:
    """``explain`` of a profile that is there: ``nodes`` by provider, ``on_cpu`` the names of nodes there.

    Raises:
        TargetMismatchError: no node ran on ``provider``.
    """
    nodes = Counter(op.where for op in found.ops)
    if not nodes[provider]:
        ran = ", ".join(f"{where} {count}" for where, count in nodes.items()) or "none"
        raise TargetMismatchError(
            f"{artifact.path}: no node ran on {provider}, the whole session fell back (nodes: {ran})"
        )
    on_cpu = [f"{op.name} ({op.kind})" for op in found.ops if op.where == onnx.CPU and provider != onnx.CPU]
    return {"nodes": dict(nodes), "on_cpu": on_cpu}


def card() -> dict[str, str]:
    """Name, driver and power limit of the card that files run on, as NVIDIA's own tool tells them; {} without it."""
    if not (bus := first_card()):
        return {}
    fields = ("name", "driver_version", "power.limit")
    command = ["nvidia-smi", f"--id={bus}", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(("card", "driver", "power_limit"), map(str.strip, answer.split(",")), strict=False))


def _load_libraries() -> None:
    """CUDA's and cuDNN's libraries from NVIDIA's Python packages, if they are installed that way."""
    import onnxruntime as ort

    with quiet_native():
        ort.preload_dlls()


def runtime(name: str, setting: Setting) -> Runtime:
    """A runtime of a setting."""
    return Runtime(
        name,
        "onnx",
        partial(missing, setting),
        partial(BoundSession, setting),
        packages=("onnxruntime-gpu",),
        explain=partial(explain, setting),
        profile=partial(profile, setting),
    )


def _cuda(**changed: str) -> tuple[tuple[str, dict[str, str]], ...]:
    return ((CUDA, {"use_tf32": "0", **changed}), (onnx.CPU, {}))


def _tensorrt(**changed: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """int8 of Q/DQ pairs is read from the file; without such pairs it changes nothing."""
    return ((TENSORRT, {"trt_int8_enable": "1", **changed}), *_cuda())


RUNTIMES = (
    runtime("onnxruntime-cuda", Setting(_cuda())),
    runtime("onnxruntime-cuda-tf32", Setting(_cuda(use_tf32="1"), words="TF32")),
    runtime("onnxruntime-cuda-graph", Setting(_cuda(**{GRAPH: "1"}), words="CUDA graph")),
    runtime("onnxruntime-cuda-copies", Setting(_cuda(), copies=True, words="copies timed")),
    runtime("onnxruntime-tensorrt", Setting(_tensorrt(), words="int8 where Q/DQ pairs stand")),
    runtime(
        "onnxruntime-tensorrt-fp16",
        Setting(_tensorrt(trt_fp16_enable="1"), words="fp16, int8 where Q/DQ pairs stand"),
    ),
)
