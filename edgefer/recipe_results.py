"""What the shipped recipes were measured to reach: figures of committed training records, packed with the recipes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import msgspec

from edgefer.spec import Frozen


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

    def told(self, metric: str) -> str:
        """How the test figure was obtained, and what else was measured in ``metric``."""
        others = {f"{name} alone": figures for name, figures in self.sets.items()}
        if self.tta:
            others["with test-time augmentation"] = self.tta
        return "; ".join(
            [self.how, *(f"{name} {getattr(each, metric):.4f}" for name, each in others.items())]
        )


def comparable_metric(reported: Mapping[str, float]) -> str:
    """The field of ``Figures`` in which a recipe is compared with its source; weighted F1 if that is silent."""
    return next((name for name in reported if name in Figures.__struct_fields__), "weighted_f1")


def recipe_results() -> tuple[Result, ...]:
    """All measured runs, sorted by recipe."""
    return msgspec.json.decode(
        (files("edgefer") / "recipes" / "results.json").read_bytes(), type=tuple[Result, ...]
    )
