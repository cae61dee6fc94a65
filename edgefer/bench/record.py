"""RunRecord: what one artifact did on one target. Raw samples are stored; statistics are derived from them.

Schema history: 1 — first version; ``invalid``, ``parity``, ``instructions``, ``run``, a timing's ``blocks``,
``receipt`` and ``energy``, a cold start's ``warm_load_ns`` and ``warm_first_ns``, and an accuracy's ``faces_sha256``
were added as optional fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from edgefer.artifact import Baseline
from edgefer.bench.emulated import Instructions, Parity
from edgefer.bench.metering import Consumption
from edgefer.bench.receipts import Receipt
from edgefer.errors import InputError
from edgefer.files import write_atomic
from edgefer.metrics import Score
from edgefer.spec import Frozen, LabelSet, Lineage

SCHEMA = 1

Kind = Literal["measured", "emulated", "estimated"]

KERNELS = ("XNNPACK", "builtin kernels", "reference kernels")
"""TFLite's kernel sets, as sessions call them; their answers differ by more than processors' do."""


class ArtifactRef(Frozen, frozen=True):
    """Which file was run."""

    name: str
    format: str
    sha256: str
    bytes: int
    backbone_sha256: str
    labels: LabelSet
    lineage: Lineage


class BatchTiming(Frozen, frozen=True):
    """Times of single runs at one batch size, in nanoseconds, in the order they were taken.

    ``unstable`` is empty, or says why the run may not be trusted. ``blocks`` are the numbers of samples in each block,
    in order; blocks of one number in the records of one run are of one round. Older records have none, and no receipt.
    ``energy`` is None where no counter could be read; the record's environment says why.
    """

    batch: int
    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    unstable: str = ""
    blocks: tuple[int, ...] = ()
    receipt: Receipt | None = None
    energy: Consumption | None = None

    def __post_init__(self) -> None:
        if self.blocks and (min(self.blocks) < 1 or sum(self.blocks) != len(self.samples_ns)):
            raise ValueError("blocks must divide the samples")
        if self.batch < 1 or not self.samples_ns or min(self.samples_ns) <= 0:
            raise ValueError("a timing needs a positive batch size and positive samples")

    def latency_ns(self, quantile: float = 0.5) -> float:
        """A quantile of the samples, linearly interpolated."""
        return float(np.quantile(self.samples_ns, quantile))

    @property
    def fps(self) -> float:
        """Images per second: batch / median latency, the only definition of FPS in this project."""
        return self.batch / (self.latency_ns() / 1e9)

    @property
    def millijoules(self) -> float | None:
        """Energy of one image, the median of the blocks; None without a counter."""
        if self.energy is None:
            return None
        each = [joules / runs for joules, runs in zip(self.energy.joules, self.energy.runs, strict=True)]
        return 1e3 * float(np.median(each)) / self.batch


class Accuracy(Frozen, frozen=True):
    """Scores on the test split: all rows, and without those whose image also stands in the training split.

    ``baseline`` is the float backbone on the same rows. ``drop_skipped`` says why there is no F1 drop, if so.
    ``predictions`` are class numbers on the full split, in order. ``faces_sha256`` is the same for networks that take
    the same faces at different sizes, whose scores' ``rows_sha256`` differ; "" in older records.
    """

    data: str
    synthetic: bool
    full: Score
    clean: Score
    predictions: tuple[int, ...]
    baseline: Baseline | None = None
    drop_skipped: str = ""
    faces_sha256: str = ""

    @property
    def f1_drop(self) -> float | None:
        """Baseline weighted F1 minus this artifact's, in points (0..100), full split; None: no comparison."""
        return self._drop("full")

    @property
    def f1_drop_clean(self) -> float | None:
        """The same on the rows without leaks."""
        return self._drop("clean")

    def _drop(self, part: Literal["full", "clean"]) -> float | None:
        mine: Score = getattr(self, part)
        base: Score | None = getattr(self.baseline, part) if self.baseline else None
        if base is None or base.rows_sha256 != mine.rows_sha256:
            return None
        return 100 * (base.weighted_f1 - mine.weighted_f1)


class ColdStart(Frozen, frozen=True):
    """Loading the file and the first inference at batch 1, in a fresh process, in nanoseconds.

    The warm start is the same once more in that process, which by then knows the runtime's library and the file; None
    in older records.
    """

    load_ns: int
    first_ns: int
    warm_load_ns: int | None = None
    warm_first_ns: int | None = None


class Variant(Frozen, frozen=True):
    """The same artifact with another setting of the runtime (Core ML's compute units), timed in the same run."""

    name: str
    executed_on: str
    timings: tuple[BatchTiming, ...] = ()
    cold_start: ColdStart | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class RunRecord(Frozen, frozen=True):
    """One artifact on one target. ``executed_on`` is what really ran, never what was asked for.

    ``invalid`` is empty, or says why the times do not count: the board was throttled, say. ``details`` is what the
    runtime itself tells: Core ML's compute plan. ``run`` is the same for artifacts that were measured together,
    interleaved, and for no others; "" in older records.
    """

    schema: int
    kind: Kind
    artifact: ArtifactRef
    target: str
    executed_on: str
    started: str
    environment: dict[str, Any]
    timings: tuple[BatchTiming, ...] = ()
    cold_start: ColdStart | None = None
    peak_memory_bytes: int | None = None
    accuracy: Accuracy | None = None
    notes: tuple[str, ...] = ()
    invalid: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    parity: Parity | None = None
    instructions: Instructions | None = None
    run: str = ""

    @property
    def kernels(self) -> str:
        """Which of TFLite's kernel sets ran; "" for other containers."""
        return kernels_in(self.executed_on)

    def __post_init__(self) -> None:
        if self.kind == "emulated" and (self.timings or self.cold_start or self.peak_memory_bytes):
            raise ValueError("what was emulated has no latency, cold start or memory")
        batches = [timing.batch for timing in self.timings]
        if len(set(batches)) != len(batches):
            raise ValueError("one timing a batch size")


def kernels_in(executed_on: str) -> str:
    """Which of ``KERNELS`` a session's own words name, "" if none."""
    return next((name for name in KERNELS if name in executed_on), "")


def save_record(record: RunRecord, path: Path) -> None:
    """Write one record atomically; equal records give equal bytes."""
    write_atomic(path, msgspec.json.encode(record, order="deterministic") + b"\n")


def gate_in(path: Path) -> dict[str, object] | None:
    """The JSON object in a file if it calls itself a gate; what else it may be is another reader's to say."""
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return raw if isinstance(raw, dict) and "gate" in raw else None


def load_record(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        InputError: no such file, no RunRecord, or a schema this version does not read.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes())
        if isinstance(raw, dict) and raw.get("schema") not in (None, SCHEMA):
            raise InputError(
                f"{path}: RunRecord schema {raw['schema']}, this edgefer reads {SCHEMA}",
                hint="use the edgefer that wrote it, or bench again",
            )
        return msgspec.convert(raw, RunRecord)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a RunRecord ({error})") from error
