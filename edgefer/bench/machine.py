"""What a machine is, as far as a target's needs go.

It imports the standard library only and nothing of edgefer: its source is also run on a remote machine, before
anything is copied there.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BOARD_FILE = Path("/proc/device-tree/model")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
PACKAGES = (
    "edgefer", "numpy", "pillow", "ai-edge-litert", "tflite-runtime", "onnxruntime", "onnxruntime-gpu", "coremltools",
)  # fmt: skip


def facts() -> dict[str, Any]:
    """System, processor, board, versions of installed packages; plain values only."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "macos": platform.mac_ver()[0],
        "board": board(),
        "packages": packages(),
        "nvidia": NVIDIA_DRIVER.exists(),
    }


def board() -> str:
    """The board's name from the device tree, e.g. ``Raspberry Pi 5 Model B Rev 1.0``; "" elsewhere."""
    try:
        return BOARD_FILE.read_bytes().rstrip(b"\0\n").decode(errors="replace")
    except OSError:
        return ""


def packages() -> dict[str, str]:
    """Versions of the installed packages that can change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
