"""Several guests at once, followed to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

from edgefer.emulation.guest import Guest
from edgefer.errors import EdgeferError
from edgefer.remote.following import Progress, follow

Advance = Callable[[float], None]


def run_together(guest: Guest, commands: Sequence[Sequence[str]], where: str, advance: Advance) -> None:
    """Run all ``commands`` on ``guest`` at the same time; ``advance`` hears the share that is done, 0..1.

    If one fails the others are ended, and so they are by an interrupt.

    Raises:
        EdgeferError: an agent reported an error, of its kind; or a program died, with what it said last.
    """
    shares = [0.0] * len(commands)

    def heard(number: int, done: float, total: float, _: str) -> None:
        shares[number] = done / total
        advance(sum(shares) / len(shares))

    running: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(len(commands)) as pool:
        try:
            running += (_start(guest, command) for command in commands)
            followers = [
                pool.submit(_follow, process, where, partial(heard, number))
                for number, process in enumerate(running)
            ]
            for follower in as_completed(followers):
                follower.result()
        finally:
            for process in running:
                process.kill()
                process.wait()


def _start(guest: Guest, command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=guest.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _follow(process: subprocess.Popen[str], where: str, heard: Progress) -> None:
    """Read what one program says until it ends."""
    assert process.stdout is not None
    last = ["it said nothing"]
    with process.stdout as lines:
        follow(_remembering(lines, last), where, heard)
    if code := process.wait():
        raise EdgeferError(f"{where}: the emulated program died (exit {code}): {last[0]}")


def _remembering(lines: Iterator[str], last: list[str]) -> Iterator[str]:
    """The lines themselves; the last that says something stays in ``last``."""
    for line in lines:
        last[0] = line.strip() or last[0]
        yield line
