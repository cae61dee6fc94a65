"""The programs of this machine that emulation needs, and what to install where one is missing."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgefer.errors import TargetUnavailableError

QEMU = "qemu-aarch64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Debian's package of each program.
PACKAGES = {QEMU: "qemu-user", "gcc": "gcc libc6-dev", "apt-get": "apt", "dpkg": "dpkg"}
PLUGIN_VERSIONS = ((7, 2), (9, 0))
"""First QEMU that was tried, and the first whose plugins have another interface (``qemu-plugin.h``, version 2)."""

_RELEASE = re.compile(r"version (\d+)\.(\d+)\S*")


def require(*programs: str) -> None:
    """Pass if all ``programs`` are installed.

    Raises:
        TargetUnavailableError: one is not, or this is not Linux; the hint is the exact command that installs it.
    """
    if platform.system() != "Linux":
        raise TargetUnavailableError(
            f"emulation needs Linux, for QEMU's user mode; this is {platform.system()}",
            hint="run it on a Linux machine or in a Linux container",
        )
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        several = "are" if len(missing) > 1 else "is"
        raise TargetUnavailableError(
            f"emulation needs {', '.join(missing)}, which {several} not installed", hint=installing(missing)
        )


def require_keyring() -> None:
    """Pass if the keys are there by which apt recognises Debian's packages.

    Raises:
        TargetUnavailableError: they are not.
    """
    if not KEYRING.exists():
        hint = "run: sudo apt-get install debian-archive-keyring"
        raise TargetUnavailableError(f"emulation needs Debian's keys, and {KEYRING} is not there", hint=hint)


def installing(programs: Sequence[str]) -> str:
    """The command that installs ``programs`` on Debian and its relatives."""
    packages = " ".join(PACKAGES[name] for name in programs)
    return f"run: sudo apt-get install --no-install-recommends {packages}"


def qemu_release() -> str:
    """The release of the installed QEMU, ``7.2.22``, after it was checked to count instructions.

    Raises:
        TargetUnavailableError: it is missing, of an untried generation, or built without plugins.
    """
    require(QEMU)
    answer = subprocess.run([QEMU, "--version"], capture_output=True, text=True).stdout
    usage = subprocess.run([QEMU, "-help"], capture_output=True, text=True).stdout
    return checked_release(answer, usage)


def checked_release(answer: str, usage: str) -> str:
    """The release in what ``--version`` and ``-help`` print; refuses one that cannot take the counting plugin."""
    found = _RELEASE.search(answer)
    if found is None:
        raise TargetUnavailableError(f"{QEMU} does not say its version: {answer.strip()[:80]!r}")
    low, high = PLUGIN_VERSIONS
    wanted = f"needs QEMU {low[0]}.{low[1]} or a later one before {high[0]}.{high[1]}, as in Debian 12"
    if not low <= (int(found[1]), int(found[2])) < high:
        raise TargetUnavailableError(f"emulation {wanted}; this is {found[0]}", hint=installing([QEMU]))
    if "-plugin" not in usage:
        raise TargetUnavailableError(
            f"emulation {wanted}, built with plugins; this {QEMU} has none",
            hint=f"qemu-user-static has none either; {installing([QEMU])}",
        )
    return found[0].removeprefix("version ")


def run(command: Sequence[str], failure: str, *, hint: str, cwd: Path | None = None) -> str:
    """Run a program of the set-up to its end; its standard output.

    Raises:
        TargetUnavailableError: it failed; ``failure`` says what that means, and its last line why.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise TargetUnavailableError(f"{failure}: {_reason(done.stderr or done.stdout)}", hint=hint)
    return done.stdout


def _reason(text: str) -> str:
    """The first line that calls itself an error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    errors = [line for line in lines if re.match(r"(E:|ERROR|.*\berror:)", line)]
    return (errors or lines[-1:])[0]
