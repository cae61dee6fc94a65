"""One artifact on an emulated board: proven, counted, its rows answered."""

from __future__ import annotations

import shutil
import time

from edgefer.artifact import Artifact
from edgefer.bench.emulated import Instructions
from edgefer.bench.runner import Job
from edgefer.bench.target import Target
from edgefer.emulation.board import THREADS, Board
from edgefer.emulation.pieces import home
from edgefer.emulation.processes import Advance
from edgefer.emulation.rows import Rows
from edgefer.files import sha256_of_parts, write_atomic
from edgefer.remote.packing import Package, content_of, pack, unpack


class Work:
    """What is done with ``artifact``; without ``rows`` it is proven and counted only.

    Its folder in the cache is named after all that shapes the answers, and outlives a run that was broken off.
    """

    def __init__(self, artifact: Artifact, target: Target, board: Board, rows: Rows | None) -> None:
        self.artifact, self.target, self.board, self.rows = artifact, target, board, rows
        self.proof = _package(artifact, target, None)
        self.package = _package(artifact, target, rows)
        self.folder = home() / "unfinished" / _key(self.package, board)

    def prove(self, advance: Advance) -> None:
        """Replay the golden images.

        Raises:
            VerificationError: the answers are not the backbone's, within the format's tolerance.
        """
        unpack(self.proof, self.folder)
        self.board.work(self.folder, advance)

    def count(self) -> Instructions:
        """Count the instructions of an inference."""
        (task,) = self.package.job.tasks
        return self.board.count(self.folder / task.artifact, task.runtime)

    def answer(self, advance: Advance) -> None:
        """Answer the rows, but for those that an earlier run answered."""
        unpack(self.package, self.folder)
        begin = time.perf_counter()
        try:
            self.board.answer(self.folder, advance)
        finally:
            seconds = self.seconds + time.perf_counter() - begin
            write_atomic(self.folder / "seconds", str(seconds).encode())

    @property
    def seconds(self) -> float:
        """How long answering took, earlier runs included."""
        path = self.folder / "seconds"
        return float(path.read_text()) if path.exists() else 0.0

    def discard(self) -> None:
        """Delete the folder: the record is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _package(artifact: Artifact, target: Target, rows: Rows | None) -> Package:
    data = rows.data if rows else None
    plan = target.measure.plan()
    job = Job(target=target, plan=plan, threads=THREADS, data=(lambda _: data) if data else None)
    return pack([artifact], job)


def _key(package: Package, board: Board) -> str:
    """All that shapes the answers: files, rows and settings; processor, packages and the kit's own code."""
    parts = {name: content_of(content) for name, content in package.files.items()}
    parts["board"] = board.identity.encode()
    return sha256_of_parts(parts)[:24]
