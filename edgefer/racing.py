"""How much faster a backbone became, and how right its file is: beside the file of the backbone it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from edgefer.artifact import Artifact, open_artifact
from edgefer.backbones.base import Backbone
from edgefer.bench.environment import default_threads
from edgefer.bench.runner import Job, run
from edgefer.bench.target import load_target
from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import EdgeferError
from edgefer.formats.base import Format
from edgefer.gating.contender import answers, artifact_contender
from edgefer.interrupts import stop_if_seen
from edgefer.metrics import score
from edgefer.pipeline import Options, Outcome, convert
from edgefer.preprocessing import match_channels
from edgefer.spec import Frozen

TARGET = "cpu"


class Race(Frozen, frozen=True):
    """Artifacts of ``format`` of two backbones, timed at batch 1 and interleaved on this machine's processor.

    ``fps``, ``bytes`` and ``weighted_f1``, on all validation rows, of the compressed backbone's artifact stand beside
    those of the original's. Older records have no F1. Without a file that passed its verification, and answers every
    row, there is no race, and ``skipped`` says why. ``invalid`` is empty, or says why the times do not count; older
    records do not know.
    """

    format: str
    fps: float | None = None
    original_fps: float | None = None
    bytes: int | None = None
    original_bytes: int | None = None
    weighted_f1: float | None = None
    original_weighted_f1: float | None = None
    threads: int = 0
    unstable: bool = False
    skipped: str = ""
    invalid: str = ""

    @property
    def speedup(self) -> float | None:
        """How many times as fast the compressed one is."""
        return self.fps / self.original_fps if self.fps and self.original_fps else None


def race(original: Backbone, compressed: Backbone, form: Format, dataset: Dataset, folder: Path) -> Race:
    """Convert both below ``folder``, each once, score them on the validation split, and time them.

    Whatever keeps the race from being run costs the race, and not the stage's work.
    """
    files, scored = [], []
    for name, backbone in (("original", original), ("compressed", compressed)):
        try:
            outcome = _artifact(replace(backbone, name=name), form, dataset, folder / "artifacts")
            if outcome.path is None:
                return Race(format=form.id, skipped=f"{name}: {outcome.error}")
            files.append(open_artifact(outcome.path))
            scored.append(_weighted_f1(outcome.path, dataset.split("validation")))
        except EdgeferError as error:
            return _skipped(form, f"{name}: {error}")
    try:
        timed = _timed(files, form)
    except EdgeferError as error:
        return _skipped(form, str(error))
    before, after = scored
    return msgspec.structs.replace(timed, weighted_f1=after, original_weighted_f1=before)


def _skipped(form: Format, why: str) -> Race:
    stop_if_seen()
    return Race(format=form.id, skipped=why)


def _artifact(backbone: Backbone, form: Format, dataset: Dataset, out: Path) -> Outcome:
    # The stage before took the input range for right.
    options = Options(trust_range=True)
    [outcome] = convert(backbone, [form], dataset, dataset, out, options, lambda *_: None)
    return outcome


def _weighted_f1(artifact: Path, validation: Subset) -> float:
    """Of an artifact on the rows on which its float backbone is scored."""
    contender = artifact_contender(artifact, threads=default_threads())
    given = answers(contender, match_channels(validation.pixels, contender.input))
    found = score(validation.labels, given.argmax(axis=1), contender.labels, rows=validation.sha256)
    return found.weighted_f1


def _timed(artifacts: list[Artifact], form: Format) -> Race:
    target = load_target(TARGET)
    first, second = records = run(artifacts, Job(target=target, plan=target.measure.plan(), batches=(1,)))
    return Race(
        format=form.id,
        fps=second.timings[0].fps,
        original_fps=first.timings[0].fps,
        bytes=second.artifact.bytes,
        original_bytes=first.artifact.bytes,
        threads=default_threads(),
        unstable=any(record.timings[0].unstable for record in records),
        invalid="; ".join(dict.fromkeys(record.invalid for record in records if record.invalid)),
    )
