"""How long a network takes beside the one it came from, before it is worth a verified file.

Latency depends on a network's shape, not on what its weights are: a network that was cut and not yet trained again is
converted with a few calibration images, is not verified, and is timed in turns with the whole one.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from edgefer.artifact import IOSpec
from edgefer.backbones.base import Backbone
from edgefer.bench.comparing import paired
from edgefer.bench.latency import latency
from edgefer.bench.measure import Plan
from edgefer.bench.receipts import why_invalid
from edgefer.bench.record import BatchTiming
from edgefer.bench.runner import Job, open_session
from edgefer.bench.target import load_target
from edgefer.compression.base import Pace
from edgefer.contract import Container, Golden
from edgefer.datasets.base import Dataset
from edgefer.formats.base import Calibration, Format
from edgefer.formats.export import export_backbone
from edgefer.preprocessing import match_channels
from edgefer.runtimes.base import Runtime, Session
from edgefer.sampling import balanced_rows
from edgefer.spec import InputSpec, LabelSet, Lineage
from edgefer.training.record import write_record

TARGET = "cpu"
# Ranges of activations decide which numbers a kernel multiplies, not how many.
ROWS = 16
TRIES = 3


class _Manifest(NamedTuple):
    format: str
    name: str
    input: InputSpec
    io: IOSpec
    labels: LabelSet
    lineage: Lineage


@dataclass(frozen=True)
class _Draft:
    """A converted file without its contract, for a runtime to open."""

    path: Path
    container: Container
    manifest: _Manifest
    golden: Golden


@dataclass
class _Runner:
    artifact: _Draft
    runtime: Runtime
    session: Session
    notes: list[str] = field(default_factory=list)


def _plan() -> Plan:
    return load_target(TARGET).measure.plan()


@dataclass(frozen=True)
class Stopwatch:
    """Times networks as ``form`` on this machine's processor; what was measured is kept in ``folder``."""

    form: Format
    dataset: Dataset
    folder: Path
    plan: Plan = field(default_factory=_plan)
    wholes: dict[str, _Runner] = field(default_factory=dict)

    def __call__(self, whole: Backbone, cut: Backbone, batch: int = 1) -> Pace:
        """The time of ``cut`` for a batch as a share of that of ``whole``, both timed in turns.

        On a machine that is not at rest it is measured up to ``TRIES`` times, and the narrowest interval counts. A
        network of the same layers is not measured twice, even after an interruption: a search that goes on must find
        the plan that it found before.

        Raises:
            ConversionError: one of them cannot be converted.
            InputError: the processor does not take the format.
            TargetUnavailableError: the format's runtime is missing.
        """
        kept = self.folder / f"{_shape(whole)}-{_shape(cut)}-{batch}.json"
        if kept.exists():
            return msgspec.json.decode(kept.read_bytes(), type=Pace)
        # A search holds many networks against one: that is converted once.
        if _shape(whole) not in self.wholes:
            self.wholes[_shape(whole)] = self._opened(whole)
        pace = self._calmest([self.wholes[_shape(whole)], self._opened(cut)], batch)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_record(kept, pace)
        return pace

    def _calmest(self, both: list[_Runner], batch: int) -> Pace:
        paces: list[Pace] = []
        while len(paces) < TRIES and all(pace.unstable for pace in paces):
            timed = latency(both, batch, self.plan, lambda _: None)
            whole, cut = (BatchTiming(batch=batch, **vars(samples)) for _, samples in timed)
            paces.append(Pace(**paired(whole, cut)._asdict(), unstable=_distrust(whole, cut)))
        return min(paces, key=lambda pace: (bool(pace.unstable), _width(pace)))

    def _opened(self, backbone: Backbone) -> _Runner:
        # A session may hold on to its file, which some systems do not delete then.
        with tempfile.TemporaryDirectory(prefix="edgefer-", ignore_cleanup_errors=True) as scratch:
            draft = self._draft(backbone, Path(scratch))
            job = Job(target=load_target(TARGET), plan=self.plan, batches=(1,))
            runtime = job.runtime(draft)
            return _Runner(draft, runtime, open_session(draft, runtime, job))

    def _draft(self, backbone: Backbone, scratch: Path) -> _Draft:
        train = self.dataset.split("train")
        rows = balanced_rows(train.labels, ROWS, seed=0)
        pixels = match_channels(train.pixels[rows], backbone.input)
        calibration = Calibration(pixels, {}) if self.form.needs_calibration else None
        converted = self.form.export(export_backbone(backbone, "raw", scratch), calibration, "uint8")
        about = _Manifest(
            self.form.id, backbone.name, backbone.input, converted.io, backbone.labels, backbone.lineage
        )
        unanswered = np.empty((0, len(backbone.labels.names)), np.float32)
        return _Draft(converted.payload, self.form.container, about, Golden(pixels, unanswered))


def _shape(backbone: Backbone) -> str:
    """A hash of the network's layers and how they hang together, weights aside."""
    return hashlib.sha256(backbone.model.to_json().encode()).hexdigest()[:16]


def _distrust(whole: BatchTiming, cut: BatchTiming) -> str:
    """Why the times of one run may not be trusted, or ""."""
    reasons = (why_invalid(whole.receipt) if whole.receipt else "", whole.unstable, cut.unstable)
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _width(pace: Pace) -> float:
    return math.inf if pace.low is None or pace.high is None else pace.high / pace.low
