"""Which card CUDA's first device is: NVML and nvidia-smi count cards otherwise, and know no CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import ctypes
import os

DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
# "domain:bus:device.function" and the closing zero.
_ROOM = 32


def first_card() -> str:
    """PCI bus id of the card that files run on, as NVML and nvidia-smi take it; "" where the driver names none.

    Source: CUDA driver API, ``cuDeviceGetPCIBusId``.
    """
    try:
        library = ctypes.CDLL(DRIVER)
        device, name = ctypes.c_int(), ctypes.create_string_buffer(_ROOM)
        failed = (
            library.cuInit(0)
            or library.cuDeviceGet(ctypes.byref(device), 0)
            or library.cuDeviceGetPCIBusId(name, _ROOM, device)
        )
    except (OSError, AttributeError):
        return ""
    return "" if failed else name.value.decode()
