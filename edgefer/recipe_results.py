"""What the shipped recipes were measured to reach: figures of committed training records, packed with the recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

import msgspec

from edgefer.recipe import Source
from edgefer.spec import Frozen

COLUMNS = ("metric", "reported", "ours", "without leaked rows", "how ours was obtained")
TTA_GAIN = "tta_points"
# Names in a recipe's ``reported`` that ours can be held against, in words.
METRICS = {
    "accuracy": "accuracy",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    TTA_GAIN: "gain of TTA, points",
}


class Figures(Frozen, frozen=True):
    """Scores (0..1) on ``n`` rows."""

    n: int
    accuracy: float
    weighted_f1: float
    macro_f1: float


class Result(Frozen, frozen=True):
    """One training run of a recipe, its epoch chosen on validation.

    ``settings`` are what was changed against the recipe's file; ``how`` says in half a line what the figures were
    obtained from. ``clean`` leaves out the test rows whose image also stands in the training split. ``tta`` is the
    test score with the recipe's test-time augmentation, ``sets`` that of each merged set's own test rows.
    """

    recipe: str
    settings: tuple[str, ...]
    how: str
    data: str
    parameters: int
    seconds: float
    validation: Figures
    test: Figures
    clean: Figures
    tta: Figures | None = None
    sets: dict[str, Figures] = msgspec.field(default_factory=dict)

    def told(self, metric: str, own: str = "") -> str:
        """How our figure was obtained, and what else was measured in ``metric``.

        ``own`` is the set whose own test rows the figure is of; without one it is of all test rows.
        """
        others = {f"{name} alone": figures for name, figures in self.sets.items() if name != own}
        if own:
            others["all test rows"] = self.test
        if self.tta:
            others["all test rows with test-time augmentation"] = self.tta
        how = f"{self.how}; of {own}'s own test rows" if own else self.how
        return "; ".join([how, *(f"{name} {getattr(each, metric):.4f}" for name, each in others.items())])


def comparable_metric(reported: Mapping[str, float]) -> str:
    """The one of ``METRICS`` in which a recipe is compared with its source; weighted F1 if that is silent."""
    return next((name for name in reported if name in METRICS), "weighted_f1")


def compared(source: Source, results: Sequence[Result]) -> list[tuple[str, ...]]:
    """The cells below ``COLUMNS``: one row a run, or one that says so if there is none.

    A figure that was not measured, or not reported, is an empty cell.
    """
    metric = comparable_metric(source.reported)
    facts = (METRICS[metric], _text(metric, source.reported.get(metric)))
    if not results:
        return [(*facts, "", "", "not trained yet")]
    return [(*facts, *_reached(each, metric, source.reported_on)) for each in results]


def _reached(result: Result, metric: str, reported_on: str) -> tuple[str, str, str]:
    """Our figure, the same without leaked rows, and how it was obtained."""
    if metric == TTA_GAIN:
        return _gained(result)
    own = reported_on if reported_on in result.sets else ""
    ours = getattr(result.sets.get(own, result.test), metric)
    # Records hold no score of one set's rows without the leaked ones.
    clean = None if own else getattr(result.clean, metric)
    return _text(metric, ours), _text(metric, clean), result.told(metric, own)


def _gained(result: Result) -> tuple[str, str, str]:
    """As ``_reached``: what test-time augmentation adds to the accuracy of plain answers."""
    gain = 100 * (result.tta.accuracy - result.test.accuracy) if result.tta else None
    how = f"{result.told('accuracy')}; plain {result.test.accuracy:.4f}"
    return _text(TTA_GAIN, gain), "", how


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:+.2f}" if metric == TTA_GAIN else f"{value:.4f}"


def recipe_results() -> tuple[Result, ...]:
    """All measured runs, sorted by recipe."""
    return msgspec.json.decode(
        (files("edgefer") / "recipes" / "results.json").read_bytes(), type=tuple[Result, ...]
    )
