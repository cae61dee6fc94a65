"""How a Python program runs on the emulated processor: the command line and the folders it sees.

QEMU's user mode translates the program and passes its system calls on to this machine; files below ``-L`` take the
place of this machine's own where they exist, and that is how the guest finds its libraries and its ``/proc/cpuinfo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer.bench.target import Emulation
from edgefer.emulation.cpuinfo import cpuinfo
from edgefer.emulation.debian import PYTHON
from edgefer.emulation.tools import QEMU


@dataclass(frozen=True)
class Guest:
    """An emulated board: its processor, its root folder as the guest sees it, and Python's folders of packages."""

    emulation: Emulation
    root: Path
    packages: tuple[Path, ...]

    def command(self, *words: str | Path, plugin: Sequence[str] = ()) -> list[str]:
        """The command line that runs ``python WORDS`` on the board; ``plugin`` is a QEMU plugin and its arguments."""
        attached = ["-plugin", ",".join(plugin)] if plugin else []
        machine = [QEMU, "-cpu", self.emulation.cpu, "-L", str(self.root), *attached]
        return [*machine, str(self.root / PYTHON), "-s", *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        """All of the guest's environment; the host's own would name libraries of another processor."""
        return {"PYTHONPATH": ":".join(map(str, self.packages)), "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def furnish(folder: Path, system: Path, emulation: Emulation) -> Path:
    """Make ``folder`` the root of one processor: the shared ``system``, linked, and its own ``/proc/cpuinfo``."""
    folder.mkdir()
    for entry in sorted(system.iterdir()):
        (folder / entry.name).symlink_to(entry)
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text(cpuinfo(emulation))
    return folder
