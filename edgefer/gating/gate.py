"""Hold an artifact against a baseline on the same rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import edgefer
from edgefer.gating.classes import class_changes
from edgefer.gating.contender import Contender, answers
from edgefer.gating.record import SCHEMA, Flip, Gate, Limits, RowsUsed, Side
from edgefer.gating.resampling import Numbers, Pair, drops
from edgefer.gating.rows import Choice, Read, SharedRows, shared_rows
from edgefer.gating.verdict import decide
from edgefer.metrics import calibration_error, mcnemar_p, score
from edgefer.preprocessing import Floats
from edgefer.spec import LabelSet

WORST = 12
"""Changed rows that are kept for looking at."""


def gate(
    artifact: Contender,
    baseline: Contender,
    read: Read,
    limits: Limits,
    choice: Choice,
    say: Callable[[str], None] = lambda _: None,
) -> Gate:
    """Ask both and decide; ``read`` gives each its faces, ``say`` hears who is being asked.

    Raises:
        InputError: the two cannot be compared, or no row is left.
        EdgeferError: one answers NaN.
    """
    rows, labels = shared_rows(baseline, artifact, read, choice), artifact.labels
    say(baseline.title)
    before = answers(baseline, rows.before.pixels)
    say(artifact.title)
    pair = Pair(rows.after.labels, before, answers(artifact, rows.after.pixels))
    found = drops(pair)
    classes = class_changes(pair, found.classes, labels.names, limits.floors)
    verdict = decide(limits, found.weighted, classes, len(pair))
    right = [each.argmax(axis=1) == pair.labels for each in (pair.before, pair.after)]
    return Gate(
        schema=SCHEMA,
        edgefer=edgefer.__version__,
        gate=verdict.word,
        reasons=verdict.reasons,
        rows_needed=verdict.needed,
        limits=limits,
        labels=labels,
        rows=_used(rows),
        baseline=_side(baseline, pair.before, pair.labels, rows.before.sha256),
        artifact=_side(artifact, pair.after, pair.labels, rows.after.sha256),
        weighted_drop=found.weighted,
        macro_drop=found.macro,
        calibration=found.calibration,
        only_before=int(np.sum(right[0] & ~right[1])),
        only_after=int(np.sum(right[1] & ~right[0])),
        p=mcnemar_p(*right),
        classes=classes,
        flips=_flips(pair),
        worst=_worst(pair, rows, labels),
    )


def _used(rows: SharedRows) -> RowsUsed:
    _, height, width, channels = rows.after.pixels.shape
    return RowsUsed(
        data=rows.dataset.name,
        synthetic=rows.dataset.synthetic,
        rows=len(rows.numbers),
        of_rows=len(rows.split),
        left_out=rows.left_out,
        rows_sha256=rows.after.sha256,
        split_sha256=rows.split.sha256,
        image=(height, width, channels),
        label_set=rows.dataset.labels.source,
    )


def _side(contender: Contender, given: Floats, labels: Numbers, rows: str) -> Side:
    return Side(
        name=contender.name,
        format=contender.format,
        sha256=contender.sha256,
        bytes=contender.bytes,
        executed_on=contender.executed_on,
        score=score(labels, given.argmax(axis=1), contender.labels, rows=rows),
        calibration_error=calibration_error(given, labels),
    )


def _flips(pair: Pair) -> tuple[tuple[int, ...], ...]:
    counts = np.zeros((pair.classes, pair.classes), np.int64)
    np.add.at(counts, (pair.before.argmax(axis=1), pair.after.argmax(axis=1)), 1)
    return tuple(tuple(map(int, row)) for row in counts)


def _worst(pair: Pair, rows: SharedRows, labels: LabelSet) -> tuple[Flip, ...]:
    """Changed rows on which both were sure: by the smaller of the two probabilities, then by place."""
    before, after = pair.before.argmax(axis=1), pair.after.argmax(axis=1)
    changed = np.flatnonzero(before != after)
    sure = np.minimum(pair.before.max(axis=1), pair.after.max(axis=1))[changed]
    chosen = changed[np.argsort(-sure, kind="stable")][:WORST]
    return tuple(
        Flip(
            row=int(rows.numbers[each]),
            true=labels.names[pair.labels[each]],
            before=labels.names[before[each]],
            before_p=round(float(pair.before[each].max()), 4),
            after=labels.names[after[each]],
            after_p=round(float(pair.after[each].max()), 4),
        )
        for each in chosen
    )
