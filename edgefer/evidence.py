"""What is measured on the float backbone before it is converted: its score, and the golden tensors."""

from __future__ import annotations

import numpy as np

from edgefer.agreement import spread_of
from edgefer.artifact import Baseline, GoldenInfo
from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities, refuse_wrong_range
from edgefer.contract import Golden, golden_sha256
from edgefer.datasets.base import Dataset, Split, Subset
from edgefer.datasets.loading import load
from edgefer.datasets.scoring import scores
from edgefer.errors import InputError
from edgefer.preprocessing import match_channels
from edgefer.sampling import telling_rows

GOLDEN_ROWS = 16
GOLDEN_CANDIDATES = 512
CHECK_ROWS = 4096


def measure_baseline(backbone: Backbone, dataset: Dataset) -> Baseline | None:
    """Score the float backbone on the test split; None if the set has none."""
    if not len(dataset.splits.get("test") or ()):
        return None
    test = dataset.split("test")
    predictions = probabilities(backbone, test.pixels).argmax(axis=1)
    full, clean = scores(predictions, test, backbone.labels)
    return Baseline(data=dataset.name, synthetic=dataset.synthetic, full=full, clean=clean)


def check_range(backbone: Backbone, dataset: Dataset) -> None:
    """Hold the stated input range against labelled rows; raises as ``refuse_wrong_range`` does."""
    check = _check_rows(dataset)
    refuse_wrong_range(backbone, match_channels(check.pixels, backbone.input), check.labels)


def golden_of(backbone: Backbone, dataset: Dataset) -> tuple[Golden, GoldenInfo]:
    """Choose golden images from validation rows and record the float backbone's answers."""
    pixels = match_channels(_check_rows(dataset).pixels[:GOLDEN_CANDIDATES], backbone.input)
    outputs = probabilities(backbone, pixels)
    rows = telling_rows(outputs, GOLDEN_ROWS)
    golden = Golden(np.ascontiguousarray(pixels[rows]), outputs[rows])
    info = GoldenInfo(
        count=len(rows),
        source=dataset.name,
        spread=spread_of(golden.outputs),
        inputs_sha256=golden_sha256(golden.inputs),
        outputs_sha256=golden_sha256(golden.outputs),
    )
    return golden, info


def drawn_faces(backbone: Backbone) -> Dataset:
    """The synthetic faces at a backbone's input size, for golden images that are nobody's picture."""
    spec = backbone.input
    return load("synthetic", None, size=(spec.height, spec.width), channels=spec.pixel_channels)


def _check_rows(dataset: Dataset) -> Subset:
    """Rows in seeded random order of a split that training did not see, if there is one; folders come sorted."""
    order: tuple[Split, ...] = ("validation", "test", "train")
    for name in order:
        if (subset := dataset.splits.get(name)) is not None and len(subset):
            return subset.take(np.random.default_rng(0).permutation(len(subset))[:CHECK_ROWS])
    raise InputError(f"{dataset.name} has no rows")
