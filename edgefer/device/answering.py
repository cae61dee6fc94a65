"""Answers to many rows, in pieces that survive a run that is broken off."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgefer.device.job import PIECES, Job
from edgefer.errors import EdgeferError
from edgefer.files import write_atomic
from edgefer.runtimes.base import Session, predict

Answers = npt.NDArray[np.float32]


def answer(
    folder: Path,
    number: int,
    job: Job,
    session: Session,
    advance: Callable[[float], None],
    share: tuple[int, int] = (0, 1),
) -> None:
    """Answer the rows of task ``number``, skipping the pieces that are there already.

    ``share`` (k, n): only every n-th piece from the k-th on, so that n processes can do it together.
    """
    rows = np.load(folder / job.tasks[number].rows, mmap_mode="r")
    mine = list(_pieces(folder, number, len(rows), job.chunk))[share[0] :: share[1]]
    for done, (path, start, stop) in enumerate(mine):
        advance(done / len(mine))
        if not path.exists():
            pixels = np.ascontiguousarray(rows[start:stop])
            write_atomic(path, npy_bytes(predict(session, pixels, batch=job.chunk)))


def joined(folder: Path, number: int, job: Job) -> Answers:
    """All answers of task ``number``, float32 (rows, classes).

    Raises:
        EdgeferError: a piece is missing.
    """
    rows = np.load(folder / job.tasks[number].rows, mmap_mode="r")
    pieces = [path for path, _, _ in _pieces(folder, number, len(rows), job.chunk)]
    if missing := [path.name for path in pieces if not path.exists()]:
        raise EdgeferError(f"{folder}: {len(missing)} pieces were not answered, first {missing[0]}")
    return np.concatenate([np.load(path) for path in pieces])


def npy_bytes(array: Answers) -> bytes:
    """An array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _pieces(folder: Path, number: int, count: int, chunk: int) -> Iterator[tuple[Path, int, int]]:
    """(file, first row, row behind the last) of each piece."""
    for start in range(0, count, chunk):
        yield folder / PIECES / f"rows-{number}-{start:06d}.npy", start, min(start + chunk, count)
