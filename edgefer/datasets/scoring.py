"""Scores on a split as this project always gives them: on all rows, and without the leaked ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy.typing as npt

from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.fingerprints import sampled
from edgefer.errors import InputError
from edgefer.metrics import Score, score
from edgefer.spec import LabelSet, Lineage, Step


def scores(predictions: npt.NDArray[Any], subset: Subset, labels: LabelSet) -> tuple[Score, Score]:
    """Score class numbers (N,) on all rows, and on those whose image does not also stand in the training split.

    Raises:
        InputError: there are no rows, or every one of them leaked.
    """
    kept = ~subset.leaked
    if len(kept) and not kept.any():
        raise _nothing_its_own("the split")
    clean = subset.take(kept)
    full = score(subset.labels, predictions, labels, rows=subset.sha256)
    return full, score(clean.labels, predictions[kept], labels, rows=clean.sha256)


def require_own_images(dataset: Dataset) -> None:
    """Refuse, before anything is trained, data on which nothing could be scored in the end.

    Raises:
        InputError: every image of the validation or the test split also stands in the training split.
    """
    for name in ("validation", "test"):
        if name in dataset.splits and len(leaked := dataset.splits[name].leaked) and leaked.all():
            raise _nothing_its_own(f"{dataset.name}'s {name} split")


def _nothing_its_own(split: str) -> InputError:
    return InputError(
        f"every image of {split} also stands in the training split",
        hint="give data whose validation and test images are its own",
    )


def may_have_been_trained_on(lineage: Lineage, subset: Subset) -> bool:
    """Whether a training of the network saw some of these rows, leaked ones apart: they are no test for it then.

    So it is where a set was dealt in one way for the training and in another one here. A training that left no sample
    of its rows is doubted where it dealt them anew and did not keep just these apart.
    """
    return any(_may_have_seen(config, subset) for config in _trainings(lineage))


def _may_have_seen(training: dict[str, Any], subset: Subset) -> bool:
    if "trained_rows" in training:
        own = subset.prints[~subset.leaked]
        return any(sampled(own, sample).any() for sample in training["trained_rows"].values())
    if training.get("split") != "grouped":
        return False
    return subset.sha256 not in [sha for name, sha in training["rows_sha256"].items() if name != "train"]


def _trainings(lineage: Iterable[Step]) -> Iterator[dict[str, Any]]:
    """The settings of every training, those of a vote's members included."""
    for step in lineage:
        if step.name == "train":
            yield step.config
        elif step.name == "vote":
            for member in step.config["members"]:
                yield from _trainings(msgspec.convert(member.get("lineage", ()), Lineage))
