"""What the machine was doing before, while and after something was measured on it, and whether that spoils the times.

It imports the standard library only, because it is shipped to devices.

How busy *others* kept the machine is what counts: the processor time that all processes took, and that a hypervisor
took away (steal), less this process's own, over the measured span. A load average cannot tell that: it counts our own
threads, lags by a minute, and counts processes that wait for a disk. What our threads spend busy waiting is our own.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer.bench.environment import CPUINFO, CPUS, load_average
from edgefer.bench.throttling import pace, spoilt

STAT = Path("/proc/stat")
CLOCK = re.compile(r"^cpu MHz\s*: ([\d.]+)", re.MULTILINE)
# Columns of the first line of /proc/stat, in clock ticks: user, nice, system, irq, softirq, steal. Guests' time is
# part of user's. Source: proc_stat(5).
BUSY = (1, 2, 3, 6, 7, 8)
SHORTEST = 1.0
"""Seconds below which the share of others is not told: a clock tick is 10 ms, too coarse for less."""

OTHERS_LIMIT = 0.10
"""The share of all cores' time that others may use.

An idle Linux machine with its daemons stays below 0.03. At 0.10, on two cores a fifth of one, others run in one block
of five even if they never share a core with us, and the p99 begins to be theirs. The median of a small network on one
of two cores was seen to move by less than 1 % even at 0.40: this limit is stricter than such a median needs, because
a record also holds p99, larger batches and more threads, and nobody can tell afterwards what the others did.
"""


@dataclass(frozen=True)
class Receipt:
    """The state of the machine at both ends of a measurement (see ``state``) of so many seconds.

    ``others`` is the share of all cores' time that other processes and other guests of the hypervisor took meanwhile,
    0..1; None where the system does not tell, or the span was too short to tell.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    seconds: float
    others: float | None = None


class Watch:
    """Watches the machine from its making until ``receipt`` is asked for."""

    def __init__(self) -> None:
        self._before = state()
        self._began, self._busy, self._own = time.monotonic(), busy_seconds(), own_seconds()

    def receipt(self) -> Receipt:
        """What was seen so far."""
        seconds = time.monotonic() - self._began
        busy, own = busy_seconds(), own_seconds() - self._own
        others = None
        if busy is not None and self._busy is not None and seconds >= SHORTEST:
            others = others_share(busy - self._busy, own, seconds, os.cpu_count() or 1)
        return Receipt(self._before, state(), round(seconds, 3), others)


def state() -> dict[str, Any]:
    """Clocks of all cores in MHz, governor, temperature, throttling and load at this moment; None for what is not told.

    ``throttle_count`` is how often x86 cores were slowed for their heat since the machine was started.
    """
    return {"clocks_mhz": _clocks(), "throttle_count": _throttle_count(), "load": load_average(), **pace()}


def others_share(busy: float, own: float, seconds: float, cores: int) -> float:
    """Share 0..1 of ``cores`` over ``seconds`` that was busy without being our ``own``; all in seconds of a core."""
    return round(min(max((busy - own) / (cores * seconds), 0.0), 1.0), 4)


def invalid_batches(receipts: Mapping[int, Receipt]) -> str:
    """The same for the measurements of several batch sizes: the first reason, and at which sizes there is one."""
    reasons = {batch: reason for batch, receipt in receipts.items() if (reason := why_invalid(receipt))}
    if not reasons:
        return ""
    return f"batch {', '.join(map(str, reasons))}: {next(iter(reasons.values()))}"


def why_invalid(receipt: Receipt) -> str:
    """Why times taken meanwhile do not count, or ""."""
    if held_back := spoilt(receipt.before, receipt.after):
        return held_back
    first, last = receipt.before.get("throttle_count"), receipt.after.get("throttle_count")
    if first is not None and last is not None and last > first:
        return "the processor was slowed for its heat while it was measured"
    if receipt.others is not None and receipt.others > OTHERS_LIMIT:
        return (
            f"others kept {receipt.others:.0%} of the machine busy while it was measured "
            f"(at most {OTHERS_LIMIT:.0%} counts)"
        )
    return ""


def busy_seconds() -> float | None:
    """Seconds of all cores that were not idle since the machine was started; None where it is not told."""
    try:
        ticks = STAT.read_text().splitlines()[0].split()
        return sum(int(ticks[column]) for column in BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def own_seconds() -> float:
    """Seconds of cores that this process used, with the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _clocks() -> list[float] | None:
    """Present clock of each core in MHz, by number; None where the system does not tell."""
    files = sorted(CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"), key=_number)
    try:
        if files:
            return [int(path.read_text()) / 1000 for path in files]
        return [float(value) for value in CLOCK.findall(CPUINFO.read_text())] or None
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int:
    """7 of ``…/cpu7/cpufreq/scaling_cur_freq``."""
    return int(path.parts[-3][3:])


def _throttle_count() -> int | None:
    """Sum over the cores; hardware threads count their core's events twice, which does not matter to a comparison."""
    files = list(CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    try:
        return sum(int(path.read_text()) for path in files) if files else None
    except (OSError, ValueError):
        return None
