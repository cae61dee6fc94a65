"""What a gate writes down: enough to show it, and the rows to look at, without any image."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgefer.errors import InputError
from edgefer.files import write_atomic
from edgefer.metrics import Score
from edgefer.spec import Frozen, LabelSet

SCHEMA = 1

VerdictWord = Literal["pass", "fail", "underpowered"]
Standing = Literal["kept", "undecided", "below floor", "lost", "no rows"]


class Interval(Frozen, frozen=True):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


class Limits(Frozen, frozen=True):
    """What is asked: ``max_drop`` in points of weighted F1, ``floors`` as the least F1 (0..1) of classes by name."""

    max_drop: float
    floors: dict[str, float]


class RowsUsed(Frozen, frozen=True):
    """The test rows that both answered.

    ``rows`` of ``of_rows`` rows of the test split were used; ``left_out`` of the others because their image also
    stands in the training split. ``rows_sha256`` identifies the rows, ``split_sha256`` the whole split that
    ``Flip.row`` counts in, both of images of the size ``image`` (height, width, channels), the artifact's, labelled by
    ``label_set``.
    """

    data: str
    synthetic: bool
    rows: int
    of_rows: int
    left_out: int
    rows_sha256: str
    split_sha256: str
    image: tuple[int, int, int]
    label_set: str


class Side(Frozen, frozen=True):
    """One of the two that answered. ``format`` is ``keras`` for a float backbone.

    ``calibration_error`` (0..1) is as ``metrics.calibration_error`` defines it.
    """

    name: str
    format: str
    sha256: str
    bytes: int
    executed_on: str
    score: Score
    calibration_error: float


class ClassChange(Frozen, frozen=True):
    """One class. F1 is 0..1; ``drop`` is the baseline's F1 minus the artifact's, in points.

    ``only_before`` and ``only_after`` count rows of the class that only the baseline, or only the artifact, gets
    right. ``p_lost`` is McNemar's exact p on those, Holm-adjusted, for a class of which fewer than half of the hits are
    left; ``p_floor`` that of the F1 being at the ``floor`` after all. Each is None where there is nothing to test.
    """

    name: str
    rows: int
    before: float
    after: Interval
    drop: Interval
    only_before: int
    only_after: int
    p_lost: float | None
    floor: float | None
    p_floor: float | None
    standing: Standing


class Flip(Frozen, frozen=True):
    """A row of the test split whose class changed: its true class, and each one's answer with its probability."""

    row: int
    true: str
    before: str
    before_p: float
    after: str
    after_p: float


class Gate(Frozen, frozen=True):
    """An artifact held against a baseline on the same rows. Drops are in points; positive is a loss.

    ``calibration`` is the artifact's calibration error minus the baseline's, in points. ``only_before`` and
    ``only_after`` count rows that only one of the two gets right, ``p`` is McNemar's exact p on them.
    ``flips[i][j]`` counts rows that the baseline calls class i and the artifact class j; ``worst`` are changed rows on
    which both were surest. ``reasons`` say in sentences what decided. ``rows_needed`` is how many rows would decide
    an underpowered gate if the drop is what it seems, None otherwise or where no number would.

    Schema history: 1 - first version.
    """

    schema: int
    edgefer: str
    gate: VerdictWord
    reasons: tuple[str, ...]
    rows_needed: int | None
    limits: Limits
    labels: LabelSet
    rows: RowsUsed
    baseline: Side
    artifact: Side
    weighted_drop: Interval
    macro_drop: Interval
    calibration: Interval
    only_before: int
    only_after: int
    p: float
    classes: tuple[ClassChange, ...]
    flips: tuple[tuple[int, ...], ...]
    worst: tuple[Flip, ...]

    @property
    def changed(self) -> int:
        """Rows whose class changed."""
        return sum(map(sum, self.flips)) - sum(row[number] for number, row in enumerate(self.flips))


def save_gate(gate: Gate, path: Path) -> None:
    """Write one gate atomically; equal gates give equal bytes."""
    write_atomic(path, msgspec.json.encode(gate, order="deterministic") + b"\n")


def load_gate(path: Path) -> Gate:
    """Read one gate.

    Raises:
        InputError: no such file, no gate, or a schema this version does not read.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a gate ({error})") from error
    return as_gate(raw, path)


def as_gate(raw: dict[str, object], path: Path) -> Gate:
    """A gate of a decoded JSON object that came from ``path``.

    Raises:
        InputError: it is none, or has a schema this version does not read.
    """
    if raw.get("schema") not in (None, SCHEMA):
        raise InputError(
            f"{path}: gate schema {raw['schema']}, this edgefer reads {SCHEMA}",
            hint="use the edgefer that wrote it, or run the gate again",
        )
    try:
        return msgspec.convert(raw, Gate)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: not a gate ({error})") from error
