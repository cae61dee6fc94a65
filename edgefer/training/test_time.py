"""Test-time augmentation: a backbone is asked about changed copies of an image, and its answers are averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Subset
from edgefer.datasets.scoring import scores
from edgefer.metrics import mcnemar_p
from edgefer.preprocessing import Floats, Pixels
from edgefer.recipe import Augmentation
from edgefer.training.augmentation import augment
from edgefer.training.record import AugmentedScore

TestTime = Literal["none", "flip", "s1-seven"]

# S1's own training augmentation, without the mirroring: the mirror image is a copy of its own.
S1_COPY = Augmentation(rotation=10.0, zoom=0.1, shift=0.1, probability=1.0)
S1_COPIES = 7
SEED = 75
ROWS_AT_ONCE = 512


def averaged(backbone: Backbone, pixels: Pixels, kind: TestTime) -> Floats:
    """Mean probabilities float32 (N, classes) over the copies of uint8 images (N, H, W, C) that ``kind`` names.

    ``flip``: the image and its mirror image. ``s1-seven``: these two and seven copies, each turned by up to 10
    degrees, zoomed by up to 10 % and shifted by up to 10 % (S1, section 4.3). The amounts are drawn with a fixed
    seed and depend on an image's position only, so that every member of an ensemble sees the same changes.
    """
    starts = range(0, len(pixels), ROWS_AT_ONCE)
    parts = [_averaged(backbone, pixels[i : i + ROWS_AT_ONCE], kind, i) for i in starts]
    return np.concatenate(parts)


def augmented_score(backbone: Backbone, subset: Subset, kind: TestTime) -> AugmentedScore | None:
    """Score a subset with test-time augmentation and hold it against the plain answers; None for kind ``none``.

    Raises:
        InputError: as ``scores`` does.
    """
    if kind == "none":
        return None
    predictions = averaged(backbone, subset.pixels, kind).argmax(axis=1)
    plain = probabilities(backbone, subset.pixels).argmax(axis=1)
    full, clean = scores(predictions, subset, backbone.labels)
    p = mcnemar_p(predictions == subset.labels, plain == subset.labels)
    return AugmentedScore(tta=kind, test=full, test_clean=clean, p=p)


def _averaged(backbone: Backbone, pixels: Pixels, kind: TestTime, start: int) -> Floats:
    answers = [probabilities(backbone, copy) for copy in copies(pixels, kind, start)]
    return np.asarray(np.mean(answers, axis=0, dtype=np.float64), np.float32)


def copies(pixels: Pixels, kind: TestTime, start: int = 0) -> Iterator[Pixels]:
    """Yield the image and its changed copies, each (N, H, W, C); ``start`` is the first image's position."""
    yield pixels
    if kind != "none":
        yield np.ascontiguousarray(pixels[:, :, ::-1])
    if kind == "s1-seven":
        for number in range(S1_COPIES):
            yield augment(pixels, S1_COPY, np.random.default_rng([SEED, number, start]))
