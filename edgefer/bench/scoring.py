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
from edgefer.errors import EdgeferError, InputError
from edgefer.metrics import Score, score
from edgefer.runtimes.base import Session, predict
from edgefer.spec import LabelSet

BATCH = 64


def accuracy(session: Session, artifact: Artifact, dataset: Dataset, *, batch: int = BATCH) -> Accuracy:
    """Score ``artifact``, loaded as ``session``, on the data's test split, ``batch`` images at a time.

    The images must have the artifact's size and pixel channels.

    Raises:
        InputError: the class names differ, or there are no test rows, or none that are no leaks.
        EdgeferError: the artifact answers NaN.
    """
    test = scorable(artifact, dataset)
    predictions = _classes(predict(session, test.pixels, batch=batch), artifact)
    baseline, skipped = _comparable(artifact.manifest.baseline, test, dataset.name)
    return Accuracy(
        data=dataset.name,
        synthetic=dataset.synthetic,
        full=score(test.labels, predictions, dataset.labels, rows=test.sha256),
        clean=_clean_score(test, predictions, dataset.labels, dataset.name),
        predictions=tuple(int(value) for value in predictions),
        baseline=baseline,
        drop_skipped=skipped,
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
        return read(
            label_set or artifact.manifest.labels.source, (spec.height, spec.width), spec.pixel_channels
        )

    return fit


def _clean_score(test: Subset, predictions: npt.NDArray[np.intp], labels: LabelSet, name: str) -> Score:
    """The score without the rows whose image also stands in the training split."""
    kept = ~test.leaked
    if not kept.any():
        raise InputError(
            f"{name}: every test image also stands in the training split",
            hint="give data whose test images are its own",
        )
    clean = test.take(kept)
    return score(clean.labels, predictions[kept], labels, rows=clean.sha256)


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
