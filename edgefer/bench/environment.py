"""The machine a record was taken on: what explains its numbers, and nothing that names its owner.

It imports the standard library only, because it is shipped to devices.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from edgefer.bench.machine import board, packages
from edgefer.bench.throttling import pace

CPUINFO = Path("/proc/cpuinfo")
CPUS = Path("/sys/devices/system/cpu")
SUPPLIES = Path("/sys/class/power_supply")
# Those that decide which kernels XNNPACK and MLAS choose.
FLAGS = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_int8", "amx_bf16", "asimd", "asimdhp", "fphp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def environment(threads: int) -> dict[str, Any]:
    """Processor, memory, system, versions and the threads used; without the host's name.

    What the machine does not tell (``frequency_mhz``, ``power``, ``governor``, ``temperature_c``, ``throttled``) is
    None.
    """
    return {
        "cpu": cpu_model(),
        "board": board(),
        "flags": cpu_flags(),
        "physical_cores": physical_cores(),
        "logical_cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "frequency_mhz": _frequency(),
        "memory_bytes": _memory(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(),
        "threads": threads,
        "power": power_source(),
        **pace(),
    }


def load_average() -> list[float]:
    """Runnable processes, averaged over 1, 5 and 15 minutes; none where the system does not count them."""
    if not hasattr(os, "getloadavg"):
        return []
    return [round(value, 2) for value in os.getloadavg()]


def power_source() -> str | None:
    """``mains`` or ``battery``, on which machines keep other clocks; None where the system does not tell.

    Batteries of devices, of a mouse say, do not count.
    """
    if platform.system() == "Darwin":
        said = subprocess.run(["pmset", "-g", "batt"], capture_output=True, text=True).stdout
        return ("battery" if "Battery Power" in said else "mains") if said else None
    supplies = [supply for supply in SUPPLIES.glob("*") if _told(supply / "scope") != "Device"]
    if any(_told(supply / "status") == "Discharging" for supply in supplies):
        return "battery"
    return "mains" if any(_told(supply / "online") == "1" for supply in supplies) else None


def _told(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def usable_cores() -> int:
    """Logical cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """One thread a physical core, but no more than this process may use."""
    return max(1, min(physical_cores(), usable_cores()))


def physical_cores() -> int:
    """Cores without their hardware threads, as Linux' topology or macOS tell; else the logical ones."""
    siblings = {path.read_text() for path in CPUS.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return len(siblings) or int(_sysctl("hw.physicalcpu") or os.cpu_count() or 1)


def cpu_model() -> str:
    """The processor's marketing name where the system tells, else its architecture."""
    if name := _cpuinfo("model name") or _sysctl("machdep.cpu.brand_string"):
        return name
    part = _cpuinfo("CPU part")
    return f"{platform.machine()} part {part}" if part else platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """The processor's instruction sets among ``FLAGS``, in that order; empty where the system lists none."""
    found = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in FLAGS if flag in found]


def _cpuinfo(key: str) -> str:
    """First value of a key in /proc/cpuinfo, "" if there is none."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(values, "")


def _sysctl(name: str) -> str:
    """A value of macOS' kernel state, "" elsewhere."""
    if platform.system() != "Darwin":
        return ""
    return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True).stdout.strip()


def _memory() -> int | None:
    """Bytes of main memory, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _frequency() -> float | None:
    """Present frequency of the first core in MHz, None where the system does not tell."""
    try:
        return int((CPUS / "cpu0/cpufreq/scaling_cur_freq").read_text()) / 1000
    except (OSError, ValueError):
        return float(_cpuinfo("cpu MHz") or 0) or None
