"""The ``/proc/cpuinfo`` of an emulated processor, in the words of Linux on arm64 (``arch/arm64/kernel/cpuinfo.c``).

LiteRT reads the file beside the hardware capabilities that QEMU announces; the host's own text crashes it, and one
that promises instructions the processor lacks dies of SIGILL.
"""

from __future__ import annotations

from edgefer.bench.target import Emulation


def cpuinfo(emulation: Emulation) -> str:
    """One block a core, the same for all."""
    block = (
        "BogoMIPS\t: 108.00",
        f"Features\t: {' '.join(emulation.features)}",
        f"CPU implementer\t: {emulation.implementer:#04x}",
        "CPU architecture: 8",
        f"CPU variant\t: {emulation.variant:#x}",
        f"CPU part\t: {emulation.part:#05x}",
        f"CPU revision\t: {emulation.revision}",
    )
    blocks = ("\n".join((f"processor\t: {core}", *block)) for core in range(emulation.cores))
    return "\n\n".join(blocks) + "\n\n"
