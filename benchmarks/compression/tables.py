"""The tables of the students and of int8 side by side, from committed records only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.compression.stock import BATCHES, FOLDER, Entry, StockRecord
from benchmarks.costs import RECORDS
from benchmarks.results import NOT_YET, machine, markdown_table
from edgefer.bench.record import RunRecord, load_record
from edgefer.metrics import Score, f1_intervals
from edgefer.report import words

# What is asked of each student's tflite-int8 file: kB at most, weighted F1 and times RIVAL's FPS at least.
GOALS = {"student-nano": (100, 0.79, 30), "student-micro": (300, 0.815, 15), "student-small": (1200, 0.83, 6)}
STUDENTS = RECORDS / "students"
RIVAL = "EfficientNetV2B1"


def stock(folder: Path = FOLDER) -> str:
    """Stock converters and edgefer on each network: size, scores, FPS."""
    files = sorted(folder.glob("*.json"))
    if not files:
        return NOT_YET
    return "\n\n".join(_stock(msgspec.json.decode(file.read_bytes(), type=StockRecord)) for file in files)


def _stock(record: StockRecord) -> str:
    head = (
        f"**{record.model}**, float weighted F1 {words.f1(record.baseline.weighted_f1)}, macro "
        f"{words.f1(record.baseline.macro_f1)}. {machine(record.environment)}; {record.started[:10]}."  # type: ignore[arg-type]
    )
    columns = ("made by", "file", "size, kB", "weighted F1", "macro F1", "F1 drop, points",
               *(f"FPS (batch {batch})" for batch in BATCHES))  # fmt: skip
    rows = [_entry(each, record.baseline) for each in record.entries]
    return f"{head}\n\n{markdown_table(columns, rows)}"


def _entry(entry: Entry, baseline: Score) -> tuple[str, ...]:
    return (
        entry.maker,
        entry.what,
        words.kilobytes(entry.bytes),
        words.f1(entry.full.weighted_f1),
        words.f1(entry.full.macro_f1),
        words.points(100 * (baseline.weighted_f1 - entry.full.weighted_f1)),
        *(words.fps(each.fps) + " (unstable)" * bool(each.unstable) for each in entry.timings),
    )


def students(folder: Path = STUDENTS) -> str:
    """Every student that was trained: its int8 file against its goal, and each class with its interval."""
    found = [path for path in sorted(folder.glob("*")) if path.is_dir()]
    if not found:
        return NOT_YET
    columns = ("file", "size, kB", "at most", "weighted F1", "at least", "macro F1", "F1 drop, points",
               "without leaked rows", "FPS (batch 1)", f"times {RIVAL}", "at least",
               "FPS (one thread)", "times")  # fmt: skip
    rows = [row for path in found for row in _student(path)]
    return "\n\n".join([markdown_table(columns, rows), *map(_classes, found)])


def model_card(name: str, folder: Path = STUDENTS) -> str:
    """Scores of one student's files, and each class with its interval."""
    path = folder / name
    if not path.is_dir():
        return NOT_YET
    columns = ("file", "size, kB", "weighted F1", "macro F1", "F1 drop, points", "without leaked rows")
    rows = [_scores(record) for record in _records(path)]
    return f"{markdown_table(columns, rows)}\n\n{_classes(path)}"


def _records(path: Path) -> list[RunRecord]:
    """The student's own, int8 first."""
    records = [load_record(file) for file in sorted(path.glob("*.cpu.json"))]
    own = [record for record in records if record.accuracy]
    return sorted(own, key=lambda record: (record.artifact.format != "tflite-int8", record.artifact.format))


def _student(path: Path) -> Iterator[tuple[str, ...]]:
    for record in _records(path):
        name, kilobytes, weighted, macro, drop, clean = _scores(record)
        size, score, pace = _goal(path.name, record.artifact.format)
        yield (
            f"{path.name} {name}",
            kilobytes,
            size,
            weighted,
            score,
            macro,
            drop,
            clean,
            *_pace(path, record.artifact.format, "cpu"),
            pace,
            *_pace(path, record.artifact.format, "one-thread"),
        )


def _goal(student: str, name: str) -> tuple[str, str, str]:
    """What is asked of a student's file; nothing of other formats, and of a student without a goal."""
    if name != "tflite-int8" or student not in GOALS:
        return (words.ABSENT,) * 3
    size, score, pace = GOALS[student]
    return str(size), f"{score:g}", str(pace)


def _pace(path: Path, name: str, kind: str) -> tuple[str, str]:
    """FPS at batch 1 of one file, and as a multiple of the float network's in the same run."""
    mine, rival = (load_record(path / f"{each}.{kind}.json").timings[0] for each in (name, RIVAL))
    return words.fps(mine.fps) + " (unstable)" * bool(mine.unstable), f"{mine.fps / rival.fps:.1f}"


def _scores(record: RunRecord) -> tuple[str, ...]:
    accuracy = record.accuracy
    assert accuracy is not None
    assert accuracy.f1_drop is not None
    return (
        record.artifact.format,
        words.kilobytes(record.artifact.bytes),
        words.f1(accuracy.full.weighted_f1),
        words.f1(accuracy.full.macro_f1),
        words.points(accuracy.f1_drop),
        words.f1(accuracy.clean.weighted_f1),
    )


def _classes(path: Path) -> str:
    """F1 of each class under int8 with its interval; the true labels come out of the confusion matrix."""
    record = _records(path)[0]
    assert record.accuracy is not None
    full = record.accuracy.full
    confusion = np.asarray(full.confusion)
    rows, columns = (np.repeat(each.ravel(), confusion.ravel()) for each in np.indices(confusion.shape))
    intervals = f1_intervals(rows, columns, len(confusion))
    told = (
        f"{each.name} {each.f1:.3f} ({low:.3f} to {high:.3f}, {each.support} rows)"
        for each, (low, high) in zip(full.per_class, intervals, strict=True)
    )
    return f"F1 of each class, {path.name} {record.artifact.format}, 95 % bootstrap intervals: {', '.join(told)}."
