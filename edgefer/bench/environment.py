"""The machine a record was taken on: what explains its numbers, and nothing that names its owner."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgefer.bench.target import board

CPUINFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# Those that decide which kernels XNNPACK and MLAS choose.
FLAGS = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_int8", "amx_bf16", "asimd", "asimdhp", "fphp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
PACKAGES = (
    "edgefer", "numpy", "ai-edge-litert", "tflite-runtime", "onnxruntime", "onnxruntime-gpu", "coremltools",
)  # fmt: skip


def environment(threads: int) -> dict[str, Any]:
    """Processor, memory, system, versions and the threads used; without the host's name.

    ``frequency_mhz`` and ``governor`` are None where the machine does not tell.
    """
    import psutil

    return {
        "cpu": cpu_model(),
        "board": board(),
        "flags": cpu_flags(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "usable_cores": usable_cores(),
        "governor": GOVERNOR.read_text().strip() if GOVERNOR.exists() else None,
        "frequency_mhz": _frequency(),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(),
        "threads": threads,
    }


def load_average() -> list[float]:
    """Runnable processes, averaged over 1, 5 and 15 minutes."""
    import psutil

    return [round(value, 2) for value in psutil.getloadavg()]


def usable_cores() -> int:
    """Logical cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """One thread a physical core, but no more than this process may use."""
    import psutil

    return max(1, min(psutil.cpu_count(logical=False) or 1, usable_cores()))


def cpu_model() -> str:
    """The processor's marketing name where the system tells, else its architecture."""
    if name := _cpuinfo("model name"):
        return name
    if platform.system() == "Darwin":
        import subprocess

        answer = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return answer.stdout.strip() or platform.machine()
    part = _cpuinfo("CPU part")
    return f"{platform.machine()} part {part}" if part else platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """The processor's instruction sets among ``FLAGS``, in that order; empty where the system lists none."""
    found = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in FLAGS if flag in found]


def packages() -> dict[str, str]:
    """Versions of the installed packages that can change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpuinfo(key: str) -> str:
    """First value of a key in /proc/cpuinfo, "" if there is none."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(values, "")


def _frequency() -> float | None:
    """Present frequency of the cores in MHz, None where the system does not tell."""
    import psutil

    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return round(float(frequency.current), 1) if frequency else None
