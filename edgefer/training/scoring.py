"""A trained backbone's scores on the splits of its data, as every record of a run gives them."""

from __future__ import annotations

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.scoring import scores
from edgefer.metrics import Score, score


def full_score(backbone: Backbone, subset: Subset) -> Score:
    """Score a backbone on all rows of a subset, leaked ones too.

    Raises:
        InputError: there are no rows.
    """
    predictions = probabilities(backbone, subset.pixels).argmax(axis=1)
    return score(subset.labels, predictions, backbone.labels, rows=subset.sha256)


def scores_of_test(backbone: Backbone, dataset: Dataset) -> tuple[Score, Score] | tuple[None, None]:
    """Score a backbone on all test rows and on those that did not leak; None twice where there is no test split.

    Raises:
        InputError: every test row leaked.
    """
    if not len(dataset.splits.get("test", ())):
        return None, None
    test = dataset.split("test")
    return scores(probabilities(backbone, test.pixels).argmax(axis=1), test, backbone.labels)
