"""What an artifact's predictions are worth, and what they lost against its float backbone on equal rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgefer.artifact import Artifact, Baseline
from edgefer.bench.record import Accuracy
from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.scoring import scores
from edgefer.errors import EdgeferError, InputError
from edgefer.runtimes.base import Session, predict

BATCH = 64


def accuracy(session: Session, artifact: Artifact, dataset: Dataset, *, batch: int = BATCH) -> Accuracy:
    """Score ``artifact``, loaded as ``session``, on the data's test split, ``batch`` images at a time.

    The images must have the artifact's size and pixel channels.

    Raises:
        InputError: the class names differ, or there are no test rows, or none that are no leaks.
        EdgeferError: the artifact answers NaN.
    """
    pixels = scorable(artifact, dataset).pixels
    return score_probabilities(predict(session, pixels, batch=batch), artifact, dataset)


def score_probabilities(
    probabilities: npt.NDArray[np.float32], artifact: Artifact, dataset: Dataset
) -> Accuracy:
    """Score answers of ``artifact`` to the data's test split, float32 (N, classes), wherever they were given.

    Raises:
        InputError: the class names differ, or there are no test rows, or none that are no leaks.
        EdgeferError: there is not one answer a row, or one is NaN.
    """
    test = scorable(artifact, dataset)
    if len(probabilities) != len(test):
        raise EdgeferError(f"{artifact.path}: {len(probabilities)} answers to {len(test)} test images")
    predictions = _classes(probabilities, artifact)
    baseline, skipped = _comparable(artifact.manifest.baseline, test, dataset.name)
    full, clean = scores(predictions, test, dataset.labels)
    return Accuracy(
        data=dataset.name,
        synthetic=dataset.synthetic,
        full=full,
        clean=clean,
        predictions=tuple(int(value) for value in predictions),
        baseline=baseline,
        drop_skipped=skipped,
        faces_sha256=test.faces_sha256,
    )


def scorable(artifact: Artifact, dataset: Dataset) -> Subset:
    """The rows that ``artifact`` can be scored on.

    Raises:
        InputError: the data's classes, in order, are not the artifact's, or it has no test rows.
    """
    labels = artifact.manifest.labels
    if labels.names != dataset.labels.names:
        raise InputError(
            f"{dataset.name} has the classes {', '.join(dataset.labels.names)}; "
            f"the artifact was made for {', '.join(labels.names)}",
            hint=f"read the data as {labels.source} with --labels, or use the data the model was trained for",
        )
    return dataset.split("test")


def reader(data: str | Path | None, label_set: str | None) -> Callable[[Artifact], Dataset]:
    """Give each artifact the faces of ``data`` (None: ``EDGEFER_DATA``) in its own size and channels.

    ``label_set`` None means the artifact's own. What several artifacts share is loaded once.
    """
    from edgefer.datasets.loading import load

    @cache
    def read(labels: str, size: tuple[int, int], channels: int) -> Dataset:
        return load(data, labels, size=size, channels=channels)

    def fit(artifact: Artifact) -> Dataset:
        spec = artifact.manifest.input
        labels = artifact.manifest.labels
        found = read(label_set or labels.source, (spec.height, spec.width), spec.pixel_channels)
        return found.among(labels)

    return fit


def _classes(probabilities: npt.NDArray[np.float32], artifact: Artifact) -> npt.NDArray[np.intp]:
    """Most probable class of each row (N, K) → (N,); NaN has none, and is an error rather than class 0."""
    bad = int(np.isnan(probabilities).any(axis=1).sum())
    if bad:
        count = f"{bad} of {len(probabilities)} test images"
        raise EdgeferError(f"{artifact.path}: answers NaN for {count}", hint="run edgefer verify on it")
    classes: npt.NDArray[np.intp] = np.argmax(probabilities, axis=1)
    return classes


def _comparable(baseline: Baseline | None, test: Subset, name: str) -> tuple[Baseline | None, str]:
    """The baseline if it was taken on these very rows, else None and why it does not count."""
    if baseline is None:
        return None, "the artifact carries no baseline"
    if baseline.full.rows_sha256 != test.sha256:
        theirs = f"{baseline.data} ({baseline.full.n} rows, {baseline.full.rows_sha256[:12]})"
        ours = f"{name} ({len(test)} rows, {test.sha256[:12]})"
        return None, f"baseline was taken on other rows: {theirs}, not {ours}"
    return baseline, ""
