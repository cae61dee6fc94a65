"""Numbers as text: one place for units, digits and signs."""

from __future__ import annotations

import math

from edgefer.bench.emulated import Parity

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EN DASH}"


def kilobytes(size: int) -> str:
    """Bytes as kB (1000 bytes), one decimal below 100 kB."""
    value = size / 1e3
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def megabytes(size: int | None) -> str:
    """Bytes as MB (10^6 bytes)."""
    return ABSENT if size is None else f"{size / 1e6:,.1f}"


def f1(value: float) -> str:
    """A score 0..1 with four decimals."""
    return f"{value:.4f}"


def points(value: float) -> str:
    """A difference of scores in points, with sign: positive is a loss."""
    rounded = round(value, 2)
    return "0.00" if rounded == 0 else f"{rounded:+.2f}".replace("-", MINUS)


def between(value: float, low: float, high: float) -> str:
    """Points with the interval they lie in."""
    return f"{points(value)} ({points(low)} to {points(high)})"


def milliseconds(nanoseconds: float) -> str:
    """Nanoseconds as ms with three significant digits."""
    value = nanoseconds / 1e6
    if value <= 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:,.{decimals}f}"


def fps(value: float) -> str:
    """Images per second, one decimal below 100."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def millions(count: int) -> str:
    """A count in millions, three significant digits."""
    value = count / 1e6
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def apart(parity: Parity | None) -> str:
    """The largest difference of emulated answers: steps of a quantized output, else a probability."""
    if parity is None:
        return ABSENT
    if parity.max_steps is None:
        return f"{parity.max_abs:.1g}"
    return f"{parity.max_steps} step{'s' * (parity.max_steps != 1)}"


def percent(count: int, total: int) -> str:
    """``count`` of ``total`` in whole percent; empty rows have none."""
    return ABSENT if total == 0 else f"{100 * count / total:.0f}"


def listing(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
