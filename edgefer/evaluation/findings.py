"""A shift in sentences."""

from __future__ import annotations

from statistics import fmean

from edgefer.evaluation.record import Judgement, Shift
from edgefer.evaluation.shift import RecallChange

# A p below it is called a change; the recalls' are already adjusted for being several.
SIGNIFICANT = 0.05
# Shares that moved less are not worth a sentence.
POINTS_WORTH_SAYING = 1.0
MOST_SHARES = 3


def findings(shift: Shift, after: Judgement) -> tuple[str, ...]:
    """What moved, whether class shares explain it, and what correcting them brings; ``after`` judges the second set."""
    changed = [each for each in shift.recalls if each.p is not None and each.p < SIGNIFICANT]
    return (
        *_shares(shift),
        _estimates(shift),
        *map(_recall, changed),
        _explanation(shift, after, changed),
        _correction(shift),
    )


def _shares(shift: Shift) -> list[str]:
    moved = [each for each in shift.shares if 100 * abs(each.second - each.reference) >= POINTS_WORTH_SAYING]
    if not moved:
        return [f"No class's share moved by {POINTS_WORTH_SAYING:g} point or more."]
    moved.sort(key=lambda each: abs(each.second - each.reference), reverse=True)
    return [
        f"{each.name} {_went(each.reference, each.second)} from {each.reference:.1%} to {each.second:.1%} of the rows."
        for each in moved[:MOST_SHARES]
    ]


def _went(before: float, after: float) -> str:
    return "rose" if after > before else "fell"


def _estimates(shift: Shift) -> str:
    em = 100 * fmean(abs(each.em - each.second) for each in shift.shares)
    confusion = 100 * fmean(abs(each.confusion - each.second) for each in shift.shares)
    return (
        f"Without labels, the class shares are estimated within {em:.1f} points on average by EM, within "
        f"{confusion:.1f} by the reference's confusions."
    )


def _recall(change: RecallChange) -> str:
    before, after = change.reference or 0.0, change.second or 0.0
    missed = f"; most missed rows are taken for {change.taken_for}" if change.taken_for else ""
    p = "< 0.001" if (change.p or 0) < 0.001 else f"{change.p:.3f}"
    return f"{change.name}: recall {_went(before, after)} from {before:.2f} to {after:.2f} (p {p}){missed}."


def _explanation(shift: Shift, after: Judgement, changed: list[RecallChange]) -> str:
    alone = (
        f"With the new class shares alone, accuracy would be {shift.expected_accuracy:.3f} and macro F1 "
        f"{shift.expected_macro_f1:.3f}; they are {after.score.accuracy:.3f} and {after.score.macro_f1:.3f}"
    )
    if not changed:
        return (
            f"{alone}: no class's recall changed significantly, so label shift alone explains what is seen."
        )
    names = ", ".join(each.name for each in changed)
    return (
        f"{alone}: more than the shares moved; faces of {names} differ (covariate shift), or their labels do."
    )


def _correction(shift: Shift) -> str:
    gain, score = shift.gain, shift.corrected.score
    return (
        "Calibrating the answers on the reference and correcting them by the EM shares changes macro F1 by "
        f"{gain.macro_f1:+.2f} points to {score.macro_f1:.3f}, accuracy by {gain.accuracy:+.2f} to "
        f"{score.accuracy:.3f} (McNemar p {gain.p:.2g})."
    )
