"""Which calibration suits a network is not known beforehand: every rule is tried, and the finished files are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from edgefer.artifact import Artifact
from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.datasets.base import Dataset
from edgefer.errors import InputError
from edgefer.formats.calibration import Method
from edgefer.metrics import divergence
from edgefer.preprocessing import Floats, Pixels, match_channels
from edgefer.runtimes.base import predict
from edgefer.verification import runtime_for

METHODS: tuple[Method, ...] = get_args(Method)
Wanted = Method | Literal["best"]
# A mean over as many rows tells the rules apart where their F1 differs by a few rows that fell this way or that.
JUDGED = 2048


@dataclass(frozen=True)
class Judge:
    """Validation images, uint8 (N, H, W, pixel channels), and the backbone's probabilities, (N, classes)."""

    pixels: Pixels
    exact: Floats

    def error(self, artifact: Artifact) -> float:
        """How far a file's answers are from the backbone's: mean Kullback-Leibler divergence in nats.

        Raises:
            TargetUnavailableError: its runtime cannot run here.
        """
        session = runtime_for(artifact).open(artifact, 1)
        return divergence(self.exact, predict(session, self.pixels))


def judge_of(backbone: Backbone, dataset: Dataset, seed: int) -> Judge:
    """Draw up to ``JUDGED`` validation rows and ask the backbone.

    Raises:
        InputError: there are no validation rows.
    """
    validation = dataset.splits.get("validation")
    if validation is None or not len(validation):
        raise InputError(
            f"{dataset.name} has no validation rows, by which the best calibration method is chosen",
            hint="name one with --calibration-method",
        )
    rows = np.sort(np.random.default_rng(seed).permutation(len(validation))[:JUDGED])
    pixels = match_channels(validation.pixels[rows], backbone.input)
    return Judge(pixels, probabilities(backbone, pixels))
