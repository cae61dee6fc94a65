"""Several parsed sets to one ``Dataset``, and one set to parts of other shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgefer.datasets.assembly import Mask, Numbers, assemble
from edgefer.datasets.base import Dataset, Parsed
from edgefer.datasets.splitting import SHARES, deal_rows


@dataclass(frozen=True)
class How:
    """How rows come to their parts.

    With the ``files`` split, sets that bring parts keep them and the others are dealt, each by itself, into
    ``shares``; an image of one set's training rows may then stand in another's test rows, which are marked as
    leaked. With ``grouped`` all rows of all sets are dealt together, by set and class, so that no subject and
    no image stands in two parts.

    Images are compared as they are in the files: the same photograph at another size, or saved with loss, is
    another image.
    """

    split: Literal["files", "grouped"] = "files"
    shares: tuple[float, float, float] = SHARES


def merge(
    sets: Sequence[Parsed],
    names: tuple[str, ...] = (),
    how: How = How(),
    absent: tuple[str, ...] = (),
) -> Dataset:
    """Join ``sets``, which share a label set and image shape, in order.

    ``names`` are what they are called; ``absent`` names optional sets that were not found.

    Raises:
        InputError: no row has a class of the label set.
    """
    whole = sets[0] if len(sets) == 1 else _join(sets, names)
    sources = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    anew = how.split == "grouped"
    parts = deal_rows(whole, how.shares, sources) if anew else _own_parts(sets, how)
    return assemble(whole, parts, sources=sources, sets=names, absent=absent)


def _own_parts(sets: Sequence[Parsed], how: How) -> Numbers:
    given = [deal_rows(one, how.shares) if one.parts is None else one.parts for one in sets]
    return np.concatenate(given)


def _join(sets: Sequence[Parsed], names: tuple[str, ...]) -> Parsed:
    reasons = dict.fromkeys(reason for one in sets for reason in one.dropped)
    voted = any(one.tied is not None for one in sets)
    return Parsed(
        name=" + ".join(one.name for one in sets),
        label_set=sets[0].label_set,
        pixels=np.concatenate([one.pixels for one in sets]),
        prints=np.concatenate([one.prints for one in sets]),
        labels=np.concatenate([one.labels for one in sets]),
        soft=np.concatenate([one.soft for one in sets]),
        parts=None,
        subjects=tuple(
            person and f"{name} {person}"
            for name, one in zip(names, sets, strict=True)
            for person in one.subjects
        ),
        dropped={reason: _marks([one.dropped.get(reason) for one in sets], sets) for reason in reasons},
        tied=_marks([one.tied for one in sets], sets) if voted else None,
        synthetic=any(one.synthetic for one in sets),
        skipped=dict(sum((Counter(one.skipped) for one in sets), Counter[str]())),
    )


def _marks(marks: Sequence[Mask | None], sets: Sequence[Parsed]) -> Mask:
    """Join bool columns; a set that has none has no row marked."""
    pairs = zip(marks, sets, strict=True)
    return np.concatenate([np.zeros(len(one), np.bool_) if mark is None else mark for mark, one in pairs])
