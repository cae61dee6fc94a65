"""Pass, fail or underpowered, in sentences, and how many rows would tell.

The drop of weighted F1 decides by its two-sided 95 % interval, the one that is shown: pass if it ends at or below the
limit, fail if it begins above. So either answer is wrong for about one in forty networks that stand at the limit
(one-sided 2.5 %, the convention of non-inferiority trials).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgefer.gating.record import ClassChange, Interval, Limits, VerdictWord

# Losing that many hits and winning none is certain, with Holm's adjustment for nine classes and as many floors:
# 18 / 2^10 < 0.025.
ENOUGH_HITS = 10
MOST_ROWS = 1_000_000
"""More labelled faces than anyone has: a drop this near its limit is not to be told from it."""


class Finding(NamedTuple):
    """One rule's answer; ``needed`` is how many rows would decide an undecided one, None if no number would."""

    word: VerdictWord
    text: str
    needed: int | None = None


class Verdict(NamedTuple):
    """The answer of all rules together."""

    word: VerdictWord
    reasons: tuple[str, ...]
    needed: int | None


def decide(limits: Limits, drop: Interval, classes: Sequence[ClassChange], rows: int) -> Verdict:
    """Fail if any rule fails, else underpowered if any is undecided; what decided is told first."""
    findings = [_drop_finding(limits.max_drop, drop, rows), *_class_findings(classes, rows)]
    words: tuple[VerdictWord, ...] = ("fail", "underpowered", "pass")
    word = next(each for each in words if any(finding.word == each for finding in findings))
    ordered = sorted(findings, key=lambda finding: words.index(finding.word))
    open_ones = [finding.needed for finding in findings if finding.word == "underpowered"]
    known = [each for each in open_ones if each is not None]
    decidable = word == "underpowered" and len(known) == len(open_ones)
    return Verdict(word, tuple(each.text for each in ordered), max(known) if decidable else None)


def _drop_finding(limit: float, drop: Interval, rows: int) -> Finding:
    text = f"weighted F1 drop {drop.value:+.2f} points ({drop.low:+.2f} to {drop.high:+.2f})"
    if drop.high <= limit:
        return Finding("pass", f"{text}: at most the {limit:g} allowed")
    if drop.low > limit:
        return Finding("fail", f"{text}: more than the {limit:g} allowed")
    needed = rows_needed(limit, drop, rows)
    return Finding("underpowered", f"{text}: {limit:g} lies within{_would(needed)}", needed)


def rows_needed(limit: float, drop: Interval, rows: int) -> int | None:
    """Rows at which the interval would no longer hold the limit if the drop stayed what it seems; None: too many.

    The width of an interval falls with the square root of the rows. More than there are, in any case: where the
    interval is clear of the limit already, the adjustment for testing several classes kept the rule open.
    """
    gap = limit - drop.value
    width = drop.high - drop.value if gap > 0 else drop.value - drop.low
    if abs(gap) * math.sqrt(MOST_ROWS / rows) < width:
        return None
    return max(math.ceil(rows * (width / gap) ** 2), rows + 1)


def _class_findings(classes: Sequence[ClassChange], rows: int) -> Iterator[Finding]:
    for each in classes:
        if each.standing == "lost":
            yield Finding("fail", f"class {each.name} is lost: {_hits(each)}")
        elif each.standing == "below floor":
            yield Finding("fail", f"class {each.name} is below its floor: {_f1(each)}")
        elif each.standing == "undecided":
            yield _undecided(each, rows)
        elif each.standing == "no rows" and each.floor is not None:
            yield Finding("underpowered", f"class {each.name} has a floor and no rows to hold it against")


def _undecided(each: ClassChange, rows: int) -> Finding:
    if each.p_lost is not None:
        # What a sign test needs grows with the rows that differ, and falls with the square of their surplus.
        net, differing = each.only_before - each.only_after, each.only_before + each.only_after
        needed: int | None = math.ceil(rows * ENOUGH_HITS * differing / net**2)
        return Finding(
            "underpowered", f"class {each.name} may be lost: {_hits(each)}{_would(needed)}", needed
        )
    needed = rows_needed(each.floor or 0.0, each.after, rows)
    return Finding(
        "underpowered", f"class {each.name} may be below its floor: {_f1(each)}{_would(needed)}", needed
    )


def _would(needed: int | None) -> str:
    if needed is None:
        return "; too near for any number of rows to tell"
    return f"; about {needed:,} rows like these would tell"


def _hits(each: ClassChange) -> str:
    return (
        f"of its {each.rows} rows {each.only_before} are no longer recognised and {each.only_after} newly are, "
        f"F1 {each.before:.3f} to {each.after.value:.3f}"
    )


def _f1(each: ClassChange) -> str:
    return (
        f"F1 {each.after.value:.3f} ({each.after.low:.3f} to {each.after.high:.3f}), floor {each.floor:g}, "
        f"baseline {each.before:.3f}"
    )
