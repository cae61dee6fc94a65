"""An artifact's score beside that of the float backbone it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgefer.bench.record import Accuracy
from edgefer.metrics import Score
from edgefer.report.collect import Run

ALLOWED_DROP = 1.0
"""Points of weighted F1 that an artifact may lose, on all rows and on those without leaks."""


@dataclass(frozen=True)
class Comparison:
    """Scores of the same rows, and the F1 drops ``full`` and ``clean`` in points (0..100).

    ``clean`` leaves out the rows leaked from training. Positive is a loss.
    """

    baseline: Score
    mine: Score
    full: float
    clean: float

    @property
    def keeps(self) -> bool:
        """Whether the drop is within ``ALLOWED_DROP`` in both ways of counting."""
        return max(self.full, self.clean) <= ALLOWED_DROP

    @property
    def class_drops(self) -> list[float]:
        """F1 drop in points of each class, all rows, in label order."""
        pairs = zip(self.baseline.per_class, self.mine.per_class, strict=True)
        return [100 * (before.f1 - after.f1) for before, after in pairs]

    @property
    def lost_classes(self) -> list[str]:
        """Classes that the float backbone finds and this artifact never does: an average hides them."""
        pairs = zip(self.baseline.per_class, self.mine.per_class, strict=True)
        return [after.name for before, after in pairs if before.f1 > 0 and after.f1 == 0]


def compare(run: Run) -> Comparison | None:
    """The comparison, or None if there is none; ``incomparable`` then says why."""
    accuracy = run.record.accuracy
    if accuracy is None or accuracy.drop_skipped or accuracy.baseline is None:
        return None
    full, clean = accuracy.f1_drop, accuracy.f1_drop_clean
    if full is None or clean is None:
        return None
    return Comparison(accuracy.baseline.full, accuracy.full, full, clean)


def incomparable(accuracy: Accuracy | None) -> str:
    """Why ``compare`` finds nothing to compare."""
    if accuracy is None:
        return "accuracy was not taken"
    if accuracy.drop_skipped:
        return accuracy.drop_skipped
    if accuracy.baseline is None:
        return "the artifact carries no baseline score"
    return "the baseline was scored on other rows"


def by_baseline(runs: Sequence[Run]) -> list[tuple[str, Score, list[tuple[Run, Comparison]]]]:
    """Comparable runs by float backbone: its name, its score, its runs; in order of appearance."""
    found = [(run, comparison) for run in runs if (comparison := compare(run))]
    baselines: list[Score] = []
    for _, comparison in found:
        if comparison.baseline not in baselines:
            baselines.append(comparison.baseline)
    members = ([pair for pair in found if pair[1].baseline == baseline] for baseline in baselines)
    return [
        (f"float {pairs[0][0].record.artifact.name}", baseline, pairs)
        for baseline, pairs in zip(baselines, members, strict=True)
    ]
