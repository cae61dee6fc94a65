"""Ctrl-C in the middle of native code, which may make another error of it or drop it."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What coremltools' binding did once: the interrupt came inside its callback and left as an error of the binding.
LOST = """
import os, signal
from edgefer.cli import main

def converts():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        {then}

main.cli.main = lambda **_: converts()
main.main()
"""


@pytest.mark.parametrize(
    "then", ["raise RuntimeError('replaced by a binding')", "raise OSError(5, 'broken')"]
)
def test_an_interrupt_that_became_another_error_is_still_one(then):
    done = _run(LOST.format(then=then))
    assert done.returncode == 2
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_that_was_dropped_stops_at_the_next_question():
    done = _run(LOST.format(then="from edgefer.interrupts import stop_if_seen; stop_if_seen()"))
    assert done.returncode == 2
    assert "interrupted" in done.stderr


def test_an_error_without_an_interrupt_keeps_its_own_words():
    done = _run(
        LOST.replace("os.kill(os.getpid(), signal.SIGINT)", "raise KeyError('mine')").format(then="pass")
    )
    assert done.returncode == 1
    assert "KeyError: 'mine'" in done.stderr


def test_a_background_job_goes_on_ignoring_it():
    script = "import signal; signal.signal(2, signal.SIG_IGN); from edgefer import interrupts; interrupts.watch(); "
    assert _run(script + "assert signal.getsignal(2) is signal.SIG_IGN").returncode == 0


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
