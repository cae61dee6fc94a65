"""``edgefer bench --emulate``: artifacts on an emulated board, from the refusals to the RunRecords.

What runs there is the kit and the agent that a real board gets. First each file is proven on its golden images, then
its instructions are counted, then the rows are answered by several processes. The answers stay in the cache until the
records are complete, so that a run that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from edgefer.artifact import Artifact
from edgefer.bench.emulated import Instructions
from edgefer.bench.environment import usable_cores
from edgefer.bench.record import RunRecord
from edgefer.bench.target import Emulation, Target, targets
from edgefer.datasets.base import Dataset
from edgefer.emulation import findings, tools
from edgefer.emulation.board import booted
from edgefer.emulation.processes import Advance
from edgefer.emulation.rows import Rows, choose
from edgefer.emulation.sites import SITES, Site, site_for
from edgefer.emulation.work import Work
from edgefer.errors import InputError
from edgefer.registry import lookup
from edgefer.remote.following import Progress

Data = Callable[[Artifact], Dataset]
# Answering thousands of rows takes minutes, everything else seconds: parts of the progress bar.
PROOF, COUNT, ANSWERS = 1, 1, 20


@dataclass(frozen=True)
class Asked:
    """What to emulate.

    ``data`` gives the labelled images in the shape an artifact wants; None: proof and instructions only. ``rows`` 0
    means all test rows, else that many. ``runtime`` is the id of a site; "": each file's own. ``processes`` 0: one a
    core.
    """

    target: Target
    data: Data | None = None
    rows: int = 0
    runtime: str = ""
    processes: int = 0

    @property
    def emulation(self) -> Emulation:
        """The processor to emulate.

        Raises:
            InputError: the target has none.
        """
        if self.target.emulation is None:
            able = ", ".join(each.id for each in targets().values() if each.emulation)
            raise InputError(f"target {self.target.id} cannot be emulated", hint=f"those that can: {able}")
        return self.target.emulation

    def site(self, artifact: Artifact) -> Site:
        """The packages that run ``artifact``.

        Raises:
            InputError: the target or the runtime asked for does not take it.
        """
        if not self.target.takes(artifact.format):
            refused = f"{artifact.path}: target {self.target.id} does not take {artifact.format}"
            raise InputError(refused, hint=f"it takes: {', '.join(self.target.formats)}")
        if not self.runtime:
            return site_for(artifact.container)
        site: Site = lookup("runtime", self.runtime, SITES)
        if site.container != artifact.container:
            refused = f"{artifact.path}: {site.id} runs {site.container} files, not {artifact.container}"
            raise InputError(refused, hint="drop --runtime, or emulate these files apart")
        return site


def emulate(artifacts: Sequence[Artifact], asked: Asked, progress: Progress) -> list[RunRecord]:
    """Run ``artifacts`` on the emulated target; one record each, in the given order.

    Raises:
        InputError: the target cannot be emulated, or an artifact, a runtime or the data does not fit it.
        TargetUnavailableError: the emulator or QEMU is not there; what to do is said.
        VerificationError: an artifact does not answer its golden images there as its backbone did.
        EdgeferError: the emulated program died.
    """
    emulation = asked.emulation
    sites = [asked.site(artifact) for artifact in artifacts]
    qemu = tools.qemu_release()
    with ExitStack() as stack:
        processes = asked.processes or usable_cores()
        boards = {site: stack.enter_context(booted(emulation, site, processes)) for site in set(sites)}
        works = [
            Work(artifact, asked.target, boards[site], _rows(artifact, asked))
            for artifact, site in zip(artifacts, sites, strict=True)
        ]
        instructions = _run_all(works, progress)
        made = [findings.record(work, count, qemu) for work, count in zip(works, instructions, strict=True)]
    for work in works:
        work.discard()
    return made


def _rows(artifact: Artifact, asked: Asked) -> Rows | None:
    return choose(asked.data(artifact), asked.rows) if asked.data else None


def _run_all(works: Sequence[Work], progress: Progress) -> list[Instructions]:
    """Everything that happens on the boards, the proofs of all files first; what was counted comes back."""
    counted: list[Instructions] = []
    parts: list[tuple[int, str, Work, Callable[[Advance], object]]] = [
        *((PROOF, "golden images", work, work.prove) for work in works),
        *((COUNT, "instructions", work, lambda _, work=work: counted.append(work.count())) for work in works),
        *((ANSWERS, "rows", work, work.answer) for work in works if work.rows),
    ]
    total, done = sum(weight for weight, *_ in parts), 0
    for weight, remark, work, part in parts:
        part(partial(_tell, progress, f"{remark}, {work.artifact.path.name}", total, done, weight))
        done += weight
    return counted


def _tell(progress: Progress, remark: str, total: int, done: int, weight: int, share: float) -> None:
    """Report ``share`` of the part of that weight after the ``done`` ones."""
    progress(done + share * weight, total, remark)
