"""Cuts a set into parts so that nobody, and no image, stands in two of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgefer.datasets.base import Parsed
from edgefer.datasets.fingerprints import Fingerprints

SHARES = (0.8, 0.1, 0.1)
_SEED = 0
# S010_004_00000017.png as in CK+; KA.AN1.39.tiff as in JAFFE.
_SUBJECTS = re.compile(r"(?P<ck>S\d{3})_|(?P<jaffe>[A-Z]{2})\.[A-Z]{2}\d\.")

Numbers = npt.NDArray[np.int64]


def subject(file_name: str) -> str | None:
    """The person's key at the start of a CK+ or JAFFE file name, None where there is none."""
    match = _SUBJECTS.match(file_name)
    return match[match.lastgroup or 0] if match else None


def group(subjects: Sequence[str | None], prints: Fingerprints) -> Numbers:
    """Number the rows (N,) so that rows of one subject, and rows with one image, have one number.

    Both relations are followed through: a picture shared by two subjects joins all of their rows.
    """
    parent = list(range(len(prints)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[object, int] = {}
    for row, (person, image) in enumerate(zip(subjects, prints.tolist(), strict=True)):
        for key in (image,) if person is None else (image, person):
            parent[root(row)] = root(first.setdefault(key, row))
    return np.unique([root(row) for row in range(len(parent))], return_inverse=True)[1].astype(np.int64)


def deal_rows(parsed: Parsed, shares: Sequence[float] = SHARES, sources: Numbers | None = None) -> Numbers:
    """Part numbers (N,) of all rows, by ``group`` and ``deal``.

    Where ``sources`` (N,) number the sets that rows come from, each set gets to each part in its share.
    """
    kinds = strata(parsed)
    if sources is not None:
        kinds = kinds + sources * (len(parsed.label_set) + 1)
    return deal(kinds, group(parsed.subjects, parsed.prints), shares)


def strata(parsed: Parsed) -> Numbers:
    """Class numbers (N,) with one more for the rows that are dropped, whose own mean nothing."""
    return np.where(parsed.keep, parsed.labels, len(parsed.label_set))


def deal(labels: Numbers, groups: Numbers, shares: Sequence[float] = SHARES) -> Numbers:
    """Give each group to a part: part numbers (N,), always the same for the same rows.

    The largest groups go first, each to the part that lacks most of the group's own classes; the last groups
    go to parts that would otherwise stay empty.
    """
    # Not scikit-learn's StratifiedGroupKFold: it leaves parts empty where there are fewer than ten groups,
    # and rows must not change sides with a library's version or a machine's last bit.
    counts = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(counts, (groups, labels), 1)
    lacking = np.outer(shares, counts.sum(axis=0))
    weights = counts / np.maximum(counts.sum(axis=0), 1)
    empty, part_of = np.ones(len(shares), np.bool_), np.zeros(len(counts), np.int64)
    order = _largest_first(counts.sum(axis=1))
    for position, one in enumerate(order):
        need = np.round(lacking @ weights[one], 9)
        if len(order) - position <= empty.sum():
            need[~empty] = -np.inf
        part = part_of[one] = need.argmax()
        lacking[part] -= counts[one]
        empty[part] = False
    return part_of[groups]


def _largest_first(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Positions by falling size, equals shuffled: file order often means something."""
    shuffled = np.random.default_rng(_SEED).permutation(len(sizes))
    return shuffled[np.argsort(-sizes[shuffled], kind="stable")]
