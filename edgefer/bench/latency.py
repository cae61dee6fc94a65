"""Latency of loaded artifacts at one batch size, interleaved: the same code here and on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from edgefer.bench.measure import Plan, Samples, measure
from edgefer.bench.metering import Consumption, consumption, find_meter
from edgefer.bench.receipts import Receipt, Watch
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
ON_CARD = ("CUDA", "TensorRT", "Tensorrt")


@dataclass(frozen=True)
class Timed(Samples):
    """The samples of one artifact, the machine's receipt for them, and energy where there is a counter."""

    receipt: Receipt | None = None
    energy: Consumption | None = None


def latency(
    runs: Iterable[Each], batch: int, plan: Plan, advance: Callable[[float], None]
) -> list[tuple[Each, Timed]]:
    """Time all that take this batch size, interleaved; the others get a note.

    Raises:
        EdgeferError: one of them fails at this batch size.
    """
    ready = [(each, _ready(each, batch)) for each in runs if _takes(each, batch)]
    watch = Watch()
    samples = measure({number: run for number, (_, run) in enumerate(ready)}, plan, advance=advance)
    receipt = watch.receipt()
    energy = _energy(ready)
    return [
        (each, Timed(**vars(samples[number]), receipt=receipt, energy=energy.get(number)))
        for number, (each, _) in enumerate(ready)
    ]


def energy_counter(executed_on: str) -> str:
    """Which counter tells the energy of what runs there, or why none does."""
    meter, reason = find_meter(gpu=_on_card(executed_on))
    return meter.name if meter else reason


def _energy(ready: list[tuple[Each, Callable[[], object]]]) -> dict[int, Consumption]:
    """Energy of those whose device has a counter, the ones on a card apart from the others."""
    found: dict[int, Consumption] = {}
    for gpu in (False, True):
        there = {n: run for n, (each, run) in enumerate(ready) if _on_card(each.session.executed_on) == gpu}
        meter, _ = find_meter(gpu=gpu) if there else (None, "")
        if meter:
            found |= consumption(there, meter)
    return found


def _on_card(executed_on: str) -> bool:
    return any(name in executed_on for name in ON_CARD)


def _takes(each: Loaded, batch: int) -> bool:
    """Whether the file can be run at this batch size in one call; if only at others, that is noted."""
    io = each.artifact.manifest.io
    fixed = io.input.shape[0]
    if not io.batches and (fixed is None or each.runtime.any_batch):
        return True
    sizes = io.batches or (fixed,)
    if batch in sizes:
        return True
    each.notes.append(f"batch {batch} not run: the file is fixed to batch {', '.join(map(str, sizes))}")
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
