"""Energy of one inference, where the machine has a counter: RAPL, NVML, or the Raspberry Pi 5's power controller.

It imports numpy and the standard library only, because it is shipped to devices.

Energy is taken after the times, in blocks of its own: a block runs one contender without a pause, so that what the
counter gained is that contender's, and asking the slow counters disturbs no sample. Blocks take turns like those of
latency. What is counted is the whole package, card or board while the contender runs, what it would take idle included.

====== ============================================================================================================
RAPL   Linux' powercap, energy of all processor packages in µJ; wraps at ``max_energy_range_uj``.
       Source: Linux, Documentation/power/powercap/powercap.rst.
NVML   ``nvmlDeviceGetTotalEnergyConsumption`` of CUDA's first card in mJ (Volta and newer). Source: NVML API reference.
PMIC   ``vcgencmd pmic_read_adc`` of a Raspberry Pi 5: volts and amperes of each rail, asked several times a second;
       their products, integrated. The 5 V input itself is not measured by the board. Source: Raspberry Pi
       documentation, vcgencmd.
====== ============================================================================================================
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from edgefer.runtimes.nvidia import first_card

Key = TypeVar("Key")

POWERCAP = Path("/sys/class/powercap")
BLOCKS = 3
BLOCK_SECONDS = 1.0
PMIC_INTERVAL = 0.2
RAIL = re.compile(
    r"^\s*(?P<rail>\S+)_(?P<kind>[AV]) (?:current|volt)\(\d+\)=(?P<value>[\d.]+)[AV]", re.MULTILINE
)
NO_METER = "no energy: "


@dataclass(frozen=True)
class Consumption:
    """What ``counter`` gained in each block, in joules, and how many runs the block had."""

    counter: str
    joules: tuple[float, ...] = ()
    runs: tuple[int, ...] = ()


class Meter(Protocol):
    """A counter of energy; ``name`` says which and of what."""

    @property
    def name(self) -> str: ...  # noqa: D102
    def around(self, run: Callable[[], None]) -> float:
        """Joules that were used while ``run`` ran."""


@dataclass(frozen=True)
class Rapl:
    """All processor packages below ``folder``, each with its range."""

    zones: tuple[tuple[Path, int], ...]
    name: str = "RAPL, processor packages"

    def around(self, run: Callable[[], None]) -> float:
        """A counter that went back has wrapped once: ranges last minutes, blocks seconds."""
        before = [_number(zone / "energy_uj") for zone, _ in self.zones]
        run()
        after = [_number(zone / "energy_uj") for zone, _ in self.zones]
        gains = zip(before, after, self.zones, strict=True)
        return sum(gained(first, last, reach) for first, last, (_, reach) in gains) / 1e6


@dataclass(frozen=True)
class Nvml:
    """The first NVIDIA card."""

    library: Any
    device: Any
    name: str = "NVML, first card"

    def read(self) -> int:
        """Millijoules since the driver was loaded.

        Raises:
            OSError: the card does not count energy.
        """
        value = ctypes.c_ulonglong()
        if code := self.library.nvmlDeviceGetTotalEnergyConsumption(self.device, ctypes.byref(value)):
            raise OSError(f"the card does not count energy (NVML error {code})")
        return value.value

    def around(self, run: Callable[[], None]) -> float:
        """The card updates its counter many times a second."""
        before = self.read()
        run()
        return (self.read() - before) / 1e3


@dataclass(frozen=True)
class Pmic:
    """The Raspberry Pi 5's power controller, asked by ``command``."""

    command: str
    name: str = "PMIC, rails of the board"

    def watts(self) -> float:
        """Power of all rails at this moment.

        Raises:
            OSError: the answer names no rail.
        """
        answer = subprocess.run([self.command, "pmic_read_adc"], capture_output=True, text=True).stdout
        return rail_watts(answer)

    def around(self, run: Callable[[], None]) -> float:
        """Power in a thread of its own, from before ``run`` until after it; trapezoids."""
        seen = [(time.monotonic(), self.watts())]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(PMIC_INTERVAL):
                seen.append((time.monotonic(), self.watts()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            run()
        finally:
            done.set()
            watcher.join()
        seen.append((time.monotonic(), self.watts()))
        moments, watts = np.array(seen).T
        return float(np.sum((watts[1:] + watts[:-1]) / 2 * np.diff(moments)))


def gained(first: int, last: int, reach: int) -> int:
    """What a counter that wraps at ``reach`` gained between two readings, at most one wrap apart."""
    return last - first if last >= first else last - first + reach


def rail_watts(answer: str) -> float:
    """Watts of all rails that ``pmic_read_adc`` names with both amperes and volts.

    Raises:
        OSError: there is none.
    """
    rails: dict[str, dict[str, float]] = {}
    for found in RAIL.finditer(answer):
        rails.setdefault(found["rail"], {})[found["kind"]] = float(found["value"])
    whole = [rail["A"] * rail["V"] for rail in rails.values() if len(rail) == 2]
    if not whole:
        raise OSError("pmic_read_adc names no rail")
    return sum(whole)


def find_meter(*, gpu: bool) -> tuple[Meter | None, str]:
    """The counter of what a processor (or with ``gpu`` the first card) takes; else None and why there is none."""
    reasons = []
    for look in (_nvml,) if gpu else (_rapl, _pmic):
        meter, reason = look()
        if meter is not None:
            return meter, ""
        reasons.append(reason)
    return None, NO_METER + "; ".join(reasons)


def consumption(
    runs: Mapping[Key, Callable[[], object]], meter: Meter, *, seed: int = 0
) -> dict[Key, Consumption]:
    """Energy of all ``runs`` in turns: ``BLOCKS`` blocks of ``BLOCK_SECONDS`` each, in an order shuffled anew."""
    keys, rng = list(runs), np.random.default_rng(seed)
    found: dict[Key, list[tuple[float, int]]] = {key: [] for key in keys}
    for _ in range(BLOCKS):
        for number in rng.permutation(len(keys)):
            key = keys[number]
            block = _Block(runs[key])
            joules = meter.around(block)
            found[key].append((joules, block.count))
    return {
        key: Consumption(meter.name, tuple(j for j, _ in each), tuple(n for _, n in each))
        for key, each in found.items()
    }


@dataclass
class _Block:
    """Runs without a pause for ``BLOCK_SECONDS``, and counts."""

    run: Callable[[], object]
    count: int = field(default=0)

    def __call__(self) -> None:
        end = time.monotonic() + BLOCK_SECONDS
        while time.monotonic() < end:
            self.run()
            self.count += 1


def _rapl() -> tuple[Meter | None, str]:
    """Zones named package-N: their parts (cores, memory) and the platform's sum would count the same energy twice."""
    zones = []
    for zone in sorted(POWERCAP.glob("intel-rapl:[0-9]*")):
        try:
            if zone.name.count(":") == 1 and (zone / "name").read_text().startswith("package"):
                _number(zone / "energy_uj")
                zones.append((zone, _number(zone / "max_energy_range_uj")))
        except PermissionError:
            return None, "RAPL may only be read by root here"
        except (OSError, ValueError):
            continue
    return (Rapl(tuple(zones)), "") if zones else (None, "the machine offers no RAPL counter")


def _pmic() -> tuple[Meter | None, str]:
    command = shutil.which("vcgencmd")
    if command is None:
        return None, "there is no vcgencmd"
    try:
        Pmic(command).watts()
    except OSError:
        return None, "vcgencmd here knows no pmic_read_adc"
    return Pmic(command), ""


def _nvml() -> tuple[Meter | None, str]:
    """The driver's own library, without a Python package."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        device = ctypes.c_void_p()
        bus = first_card().encode()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(device)):
            return None, "NVML sees no card that CUDA runs on"
        meter = Nvml(library, device)
        meter.read()
    except (OSError, AttributeError) as error:
        return None, f"NVML cannot be asked ({error})"
    return meter, ""


def _number(path: Path) -> int:
    return int(path.read_text())
