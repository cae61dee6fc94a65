"""Latency of loaded artifacts at one batch size, interleaved: the same code here and on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from edgefer.bench.measure import Plan, Samples, measure
from edgefer.contract import Loadable
from edgefer.errors import EdgeferError
from edgefer.preprocessing import Pixels
from edgefer.runtimes.base import Runtime, Session


class Loaded(Protocol):
    """An artifact with its session, and a list for what is to be said of it."""

    @property
    def artifact(self) -> Loadable: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def session(self) -> Session: ...
    @property
    def notes(self) -> list[str]: ...


Each = TypeVar("Each", bound=Loaded)


def latency(
    runs: Iterable[Each], batch: int, plan: Plan, advance: Callable[[float], None]
) -> list[tuple[Each, Samples]]:
    """Time all that take this batch size, interleaved; the others get a note.

    Raises:
        EdgeferError: one of them fails at this batch size.
    """
    ready = [(each, _ready(each, batch)) for each in runs if _takes(each, batch)]
    samples = measure({number: run for number, (_, run) in enumerate(ready)}, plan, advance=advance)
    return [(each, samples[number]) for number, (each, _) in enumerate(ready)]


def _takes(each: Loaded, batch: int) -> bool:
    """Whether the file can be run at this batch size; if its size is fixed to another, that is noted."""
    fixed = each.artifact.manifest.io.input.shape[0]
    if each.runtime.any_batch or fixed in (None, batch):
        return True
    each.notes.append(f"batch {batch} not run: the file is fixed to batch {fixed}")
    return False


def _ready(each: Loaded, batch: int) -> Callable[[], object]:
    """A closure that runs one prepared batch; proven once, so that a failure names its cause."""
    try:
        feed = each.session.prepare(_images(each.artifact, batch))
        each.session.run(feed)
    except EdgeferError:
        raise
    except Exception as error:  # runtimes raise what they like; it becomes one typed line
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        failed = f"{each.artifact.path}: batch {batch} fails on {each.session.executed_on}: {reason}"
        raise EdgeferError(failed, hint="choose other sizes with --batch") from error
    return partial(each.session.run, feed)


def _images(artifact: Loadable, batch: int) -> Pixels:
    """The golden images, repeated up to ``batch`` of them: uint8 (batch, H, W, pixel channels)."""
    golden = artifact.golden.inputs
    return golden[np.arange(batch) % len(golden)]
