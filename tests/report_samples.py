"""Plausible RunRecords for tests of the report: eight formats of one backbone, nine classes; fixed."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edgefer import metrics
from edgefer.artifact import Baseline
from edgefer.bench.emulated import Instructions, Parity
from edgefer.bench.record import Accuracy, ArtifactRef, BatchTiming, ColdStart, RunRecord
from edgefer.datasets.loading import load
from edgefer.gating.contender import Contender
from edgefer.gating.gate import gate as run_gate
from edgefer.gating.record import Gate, Limits
from edgefer.gating.rows import Choice
from edgefer.metrics import Score
from edgefer.spec import InputSpec, LabelSet, Step

LABELS = LabelSet(
    source="ferplus-9",
    names=("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown"),
)
SUPPORT = (1274, 929, 444, 446, 325, 22, 97, 30, 5)
RECALL = (0.86, 0.92, 0.85, 0.66, 0.78, 0.45, 0.52, 0.17, 0.0)
LEAKED = 288

# format: bytes, share of rows that change their class, median ms at batch 1
FORMATS: dict[str, tuple[int, float, float]] = {
    "tflite-fp32": (8_912_344, 0.0, 0.402),
    "tflite-fp16": (4_487_120, 0.0005, 0.409),
    "tflite-dynamic": (2_561_808, 0.012, 0.256),
    "tflite-int8": (2_634_416, 0.011, 0.159),
    "tflite-int16x8": (2_812_000, 0.004, 0.934),
    "onnx-fp32": (8_874_120, 0.0, 0.398),
    "onnx-fp16": (4_461_233, 0.0006, 0.512),
    "onnx-int8": (2_498_771, 0.06, 0.474),
}
FASTER = {1: 1.0, 8: 0.72, 64: 0.58}


def sha(text: str) -> str:
    """A made-up but fixed hash."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _rows() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """True classes and predictions of the float backbone. RandomState's stream is frozen for all numpy."""
    random = np.random.RandomState(7)
    labels = random.permutation(np.repeat(np.arange(len(SUPPORT)), SUPPORT))
    right = random.uniform(size=len(labels)) < np.asarray(RECALL)[labels]
    guesses = random.choice(4, size=len(labels), p=[0.5, 0.15, 0.1, 0.25])
    return labels, np.where(right, labels, guesses)


def _scores(
    labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], rows: str
) -> tuple[Score, Score]:
    full = metrics.score(labels, predictions, LABELS, rows=sha(rows))
    clean = metrics.score(labels[LEAKED:], predictions[LEAKED:], LABELS, rows=sha(f"{rows} clean"))
    return full, clean


@cache
def accuracy(format_id: str, *, synthetic: bool = False, rows: str = "rows") -> Accuracy:
    """What a format's predictions are worth: the float backbone's with a share of them changed."""
    labels, predictions = _rows()
    data = "synthetic faces" if synthetic else "FER+ (ferplus-9)"
    full, clean = _scores(labels, predictions, rows)
    baseline = Baseline(data=data, synthetic=synthetic, full=full, clean=clean)
    random = np.random.RandomState(len(format_id))
    changed = random.uniform(size=len(labels)) < FORMATS[format_id][1]
    mine = np.where(changed, random.choice(4, size=len(labels), p=[0.6, 0.1, 0.2, 0.1]), predictions)
    if format_id == "onnx-int8":
        mine[mine == LABELS.names.index("contempt")] = 0  # an average hides lost classes
    full, clean = _scores(labels, mine, rows)
    return Accuracy(
        data=data,
        synthetic=synthetic,
        full=full,
        clean=clean,
        predictions=tuple(mine.tolist()),
        baseline=baseline,
    )


def timing(format_id: str, batch: int, slower: float) -> BatchTiming:
    """Sixty samples with the long right tail that real ones have."""
    random = np.random.RandomState(batch + len(format_id))
    median = FORMATS[format_id][2] * 1e6 * batch * FASTER[batch] * slower
    samples = median * (1 + 0.03 * random.standard_normal(60) + 0.4 * (random.uniform(size=60) > 0.96))
    unstable = "p90 is 1.9 times the median" if (format_id, batch) == ("onnx-fp16", 8) else ""
    whole = tuple(int(value) for value in samples)
    return BatchTiming(batch=batch, warmup_ns=whole[:3], samples_ns=whole, unstable=unstable)


def record(format_id: str, *, target: str = "cpu", slower: float = 1.0, **changes: Any) -> RunRecord:
    """One format on one target; ``changes`` replace fields of the record."""
    size = FORMATS[format_id][0]
    runtime = (
        "LiteRT 2.3.0, XNNPACK"
        if format_id.startswith("tflite")
        else "ONNX Runtime 1.31.1, CPUExecutionProvider"
    )
    fields: dict[str, Any] = {
        "schema": 1,
        "kind": "measured",
        "artifact": ArtifactRef(
            name="mobilenetv2",
            format=format_id,
            sha256=sha(format_id),
            bytes=size,
            backbone_sha256=sha("backbone"),
            labels=LABELS,
            lineage=(
                Step(name="train", config={"recipe": "s0-mobilenetv2"}, seconds=812.0),
                Step(name="export"),
            ),
        ),
        "target": target,
        "executed_on": runtime,
        "started": "2025-03-01T12:00:00Z",
        "environment": {
            "cpu": {"model": "Example CPU", "cores": 2, "flags": ["avx2", "avx512_vnni"]},
            "governor": "performance",
            "threads": 2,
            "runtime": runtime,
        },
        "timings": tuple(timing(format_id, batch, slower) for batch in FASTER),
        "cold_start": ColdStart(load_ns=size * 3, first_ns=int(slower * FORMATS[format_id][2] * 5e6)),
        "peak_memory_bytes": 60_000_000 + 3 * size,
        "accuracy": accuracy(format_id),
    }
    return RunRecord(**(fields | changes))


def records() -> list[RunRecord]:
    """Eight formats measured on one target, of which two also have emulated records for another."""
    measured = [record(format_id) for format_id in FORMATS]
    scored = emulated("tflite-int8", notes=("clock not modelled",))
    refused = msgspec.structs.replace(
        accuracy("tflite-fp32"), drop_skipped="labels of the backbone are in another order"
    )
    return [*measured, scored, emulated("tflite-fp32", accuracy=refused, parity=None)]


def emulated(format_id: str, *, target: str = "raspberry-pi-5", **changes: Any) -> RunRecord:
    """One format on an emulated board: parity and instructions, no time."""
    mine = accuracy(format_id)
    fields: dict[str, Any] = {
        "kind": "emulated",
        "executed_on": "ai-edge-litert 2.3.0 (CPU, XNNPACK, 1 thread) on QEMU 7.2.22 as cortex-a76",
        "timings": (),
        "cold_start": None,
        "peak_memory_bytes": None,
        "parity": Parity(
            rows=mine.full.n,
            of_rows=mine.full.n,
            rows_sha256=mine.full.rows_sha256,
            here="ai-edge-litert 2.3.0 (CPU, XNNPACK, 1 thread)",
            f1=mine.full.weighted_f1,
            f1_here=mine.full.weighted_f1 + 0.0004,
            top1_agreement=0.9989,
            max_abs=1 / 256,
            max_steps=1 if format_id.endswith("int8") else None,
        ),
        "instructions": Instructions(counts=(2_688_000, 2_687_986, 2_687_986), dot_products=(1_094_784,) * 3),
    }
    return record(format_id, target=target, **(fields | changes))


def save(folder: Path, given: list[RunRecord]) -> list[Path]:
    """Write records as files of their own and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for each in given:
        path = folder / f"{each.artifact.name}-{each.artifact.format}-{each.target}.json"
        path.write_bytes(msgspec.json.encode(each))
        paths.append(path)
    return paths


@cache
def gate(format_id: str = "onnx-int8") -> Gate:
    """A gate of one of the records' artifacts on synthetic faces: contempt becomes neutral, some others change."""
    faces = load("synthetic", LABELS.source, size=(24, 24), channels=1)
    labels = faces.split("test").labels
    random = np.random.RandomState(3)
    before = np.where(random.uniform(size=len(labels)) < 0.85, labels, random.choice(9, size=len(labels)))
    after = np.where(random.uniform(size=len(labels)) < 0.97, before, 0)
    after[after == LABELS.names.index("contempt")] = 0

    def contender(kind: str, of: str, classes: npt.NDArray[Any]) -> Contender:
        sure = np.linspace(0.4, 0.9, len(labels))[:, None]
        answers = np.where(np.eye(9, dtype=bool)[classes], sure, (1 - sure) / 8).astype(np.float32)
        kept = answers[~faces.split("test").leaked]
        return Contender(
            path=Path(f"{of}.file"),
            name="mobilenetv2",
            format=kind,
            sha256=sha(of),
            bytes=1,
            input=InputSpec(height=24, width=24, channels=1, range=(0.0, 1.0)),
            labels=LABELS,
            lineage=(),
            executed_on=f"{kind} 1.0",
            answer=lambda _: kept,
        )

    sides = (contender(format_id, format_id, after), contender("keras", "backbone", before))
    limits = Limits(max_drop=0.5, floors={"fear": 0.2})
    return run_gate(*sides, lambda _: faces, limits, Choice())
