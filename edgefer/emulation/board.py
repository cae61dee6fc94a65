"""An emulated board that is ready to run: its root, its packages, the kit that a real board would get as well."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgefer.bench.emulated import Instructions
from edgefer.bench.target import Emulation
from edgefer.emulation import counting, pieces
from edgefer.emulation.guest import Guest, furnish
from edgefer.emulation.processes import Advance, run_together
from edgefer.emulation.sites import Site

THREADS = 1
"""Of every session, here and there: instructions are counted of one thread."""
COUNTED = 3
"""Inferences that are counted of each file, after those that settle it."""


class Board:
    """A board for the length of a run; ``scratch`` is an empty folder of its own, ``processes`` run at once."""

    def __init__(self, emulation: Emulation, site: Site, processes: int, scratch: Path) -> None:
        self.site = site
        self.processes = processes
        self._scratch = scratch
        self._system = pieces.system().place
        root = furnish(scratch / "root", self._system, emulation)
        self.guest = Guest(emulation, root, (pieces.kit().place, pieces.site(site.id).place))

    def try_out(self) -> None:
        """Import there what the agent and its runtime need, with the counting plugin attached.

        Python keeps what it compiled for that, for later runs.

        Raises:
            EdgeferError: it cannot be imported or counted; what was said last is told.
        """
        self._counting("-c", f"import PIL.Image, {self.site.module}, edgefer.device.agent")

    def work(self, job: Path, advance: Advance) -> None:
        """Let one agent do all of the job in folder ``job`` that is not done yet."""
        run_together(self.guest, [self._agent(job)], self._name, advance)

    def answer(self, job: Path, advance: Advance) -> None:
        """Let several agents answer the job's rows."""
        shares = [self._agent(job, "--share", f"{n}/{self.processes}") for n in range(self.processes)]
        run_together(self.guest, shares, self._name, advance)

    def count(self, path: Path, runtime: str) -> Instructions:
        """Instructions of an inference of the file at ``path`` on the runtime of that id."""
        script, inferences = Path(__file__).with_name("guest_count.py"), counting.SETTLED + COUNTED
        return counting.read_counts(self._counting(script, path, runtime, str(inferences)), path.name)

    @property
    def identity(self) -> str:
        """All that makes this board another than others."""
        return " ".join(
            [str(self.guest.emulation), self._system.name, *(p.name for p in self.guest.packages)]
        )

    @property
    def _name(self) -> str:
        return f"emulated {self.guest.emulation.cpu}"

    def _counting(self, *words: str | Path) -> str:
        """Run a Python program with the counting plugin attached; what the plugin wrote."""
        out, plugin = self._scratch / "counts", pieces.counter().place / counting.PLUGIN
        command = self.guest.command(*words, plugin=(str(plugin), f"out={out}"))
        run_together(self.guest, [command], self._name, lambda _: None)
        return out.read_text()

    def _agent(self, job: Path, *words: str) -> list[str]:
        return self.guest.command("-m", "edgefer.device.agent", job, *words)


@contextmanager
def booted(emulation: Emulation, site: Site, processes: int) -> Iterator[Board]:
    """A board that is gone when the block ends.

    Raises:
        TargetUnavailableError: the emulator is not set up for ``site``.
    """
    pieces.require(pieces.pieces([site.id]))
    pieces.set_up([pieces.kit()])
    with tempfile.TemporaryDirectory(prefix="edgefer-board-") as scratch:
        yield Board(emulation, site, processes, Path(scratch))
