"""Ctrl-C that native code must not lose.

Python's KeyboardInterrupt is raised wherever the interpreter happens to be. Inside a binding's callback the binding may
turn it into an error of its own, which then looks like a network that a converter refuses, or drop it. The signal is
therefore noted as well, and whoever goes on after a failure asks here first.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_seen = threading.Event()


def watch() -> None:
    """Note every SIGINT from now on, unless the process was told to ignore it (a shell's background job)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note)


def seen() -> bool:
    """Whether the user asked to stop."""
    return _seen.is_set()


def stop_if_seen() -> None:
    """Raise the interrupt again if native code lost it.

    Raises:
        KeyboardInterrupt: the user asked to stop.
    """
    if seen():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _seen.set()
    signal.default_int_handler(number, frame)
