"""Artifacts, sessions and data that need no model: a null backend for the harness."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefer.artifact import Artifact, Baseline, GoldenInfo, IOSpec, Manifest, TensorSpec
from edgefer.bench.cold import Cold
from edgefer.bench.measure import Plan
from edgefer.bench.runner import Job
from edgefer.bench.target import Needs, Target
from edgefer.contract import Golden
from edgefer.datasets.base import Dataset, Subset
from edgefer.metrics import score
from edgefer.runtimes.base import Runtime
from edgefer.spec import InputSpec, LabelSet

LABELS = LabelSet(source="folder", names=("glad", "sad", "calm"))
QUICK = Plan(
    min_seconds=0.01,
    min_iterations=3,
    max_warmup_seconds=0.01,
    window_runs=2,
    window_seconds=0.0,
    block_runs=3,
    lead_seconds=0.0,
    block_seconds=0.002,
)
TARGET = Target(
    id="null",
    title="Null",
    device="none",
    batches=(1, 4),
    runtimes={"tflite": "null"},
    executed_on={"tflite": "null"},
    needs=Needs(),
)


def artifact(name="toy", *, baseline=None, batch=None, labels=LABELS):
    """An artifact of 4x4 gray images that exists in memory only."""
    images = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4, 1)
    manifest = Manifest(
        schema=1,
        format="tflite-int8",
        name=name,
        payload_sha256="p",
        backbone_sha256="b",
        input=InputSpec(height=4, width=4, channels=1, range=(0.0, 1.0)),
        io=IOSpec(
            mode="raw",
            input=TensorSpec(name="in", dtype="uint8", shape=(batch, 4, 4, 1)),
            output=TensorSpec(name="out", dtype="float32", shape=(batch, len(labels))),
        ),
        labels=labels,
        lineage=(),
        golden=GoldenInfo(count=3, source="test", spread=1.0, inputs_sha256="i", outputs_sha256="o"),
        tools={},
        baseline=baseline,
    )
    golden = Golden(images, np.eye(3, dtype=np.float32))
    return Artifact(Path(f"{name}-int8.tflite"), "tflite", "a" * 64, 1234, manifest, golden)


class NullSession:
    """Answers the class that the first pixel names, and keeps a log of what it was asked."""

    executed_on = "null backend"

    def __init__(self, loaded, threads):
        self.artifact, self.threads, self.ran = loaded, threads, []

    def prepare(self, pixels):
        return pixels

    def run(self, feed):
        self.ran.append(len(feed))
        return feed

    def decode(self, outputs):
        return np.eye(len(self.artifact.manifest.labels), dtype=np.float32)[outputs[:, 0, 0, 0]]


def runtime(session=NullSession, missing=""):
    """A registry with one runtime."""
    return {"null": Runtime("null", "tflite", lambda: missing, session)}


def dataset(*, name="toys", wrong=0, leaked=(), labels=LABELS, synthetic=True):
    """Thirty test rows whose first pixel is their class, but for the first ``wrong`` of them."""
    truth = np.arange(30, dtype=np.int64) % len(labels)
    pixels = np.arange(30 * 16, dtype=np.uint8).reshape(30, 4, 4, 1)
    pixels[:, 0, 0, 0] = truth
    pixels[:wrong, 0, 0, 0] = (truth[:wrong] + 1) % len(labels)
    marks = np.isin(np.arange(30), leaked)
    rows = Subset(pixels, truth, np.eye(len(labels), dtype=np.float32)[truth], marks)
    return Dataset(name, labels, {"test": rows}, synthetic=synthetic)


def baseline(data):
    """A flawless float backbone on the same rows."""
    test = data.split("test")
    clean = test.take(~test.leaked)
    return Baseline(
        data=data.name,
        synthetic=data.synthetic,
        full=score(test.labels, test.labels, data.labels, rows=test.sha256),
        clean=score(clean.labels, clean.labels, data.labels, rows=clean.sha256),
    )


def cold(_, runtime_id, threads):
    """A cold start that takes no process."""
    assert runtime_id == "null"
    return Cold(2_000_000 + threads, 1_000_000, 50_000_000)


def job(**changes):
    """Both batch sizes of the null target, quickly."""
    settings = {
        "target": TARGET,
        "plan": QUICK,
        "batches": (1, 4),
        "threads": 2,
        "runtimes": runtime(),
        "cold": cold,
    }
    return Job(**(settings | changes))
