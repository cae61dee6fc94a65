"""Whether a Raspberry Pi kept its pace while it was measured: governor, temperature, ``vcgencmd get_throttled``.

It imports the standard library only and nothing of edgefer: its source is also run on a remote machine, before
anything is copied there.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
# Bits of get_throttled that hold now; the same ones 16 places higher have held since the board was started.
# Source: Raspberry Pi documentation, vcgencmd.
SIGNS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
SINCE_BOOT = 16


def pace() -> dict[str, Any]:
    """Governor, temperature in degrees Celsius and the throttle flags; None for what the machine does not tell."""
    temperature = _read(TEMPERATURE)
    return {
        "governor": _read(GOVERNOR),
        "temperature_c": int(temperature) / 1000 if temperature else None,
        "throttled": _throttled(),
    }


def spoilt(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Why what was measured between two paces does not count, or "".

    It does not if the board was held back at either end, or began to be at any time between them. What has held since
    the board was started stays set: of a board that was held back before, only the ends tell.
    """
    first, last = before.get("throttled"), after.get("throttled")
    if first is None or last is None:
        return ""
    names = signs(first | last | (last & ~first) >> SINCE_BOOT)
    return f"the board was held back while it was measured: {names}" if names else ""


def signs(flags: int) -> str:
    """What holds now by the flags of ``get_throttled``, in words; "" if nothing does."""
    return ", ".join(name for bit, name in SIGNS.items() if flags >> bit & 1)


def _throttled() -> int | None:
    """The flags of ``throttled=0x50005``; None where there is no vcgencmd, or it has no answer."""
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    answer = subprocess.run([command, "get_throttled"], capture_output=True, text=True)
    try:
        return int(answer.stdout.strip().partition("=")[2], 16)
    except ValueError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
