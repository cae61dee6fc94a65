"""What teachers answer on the training images, kept on disk: however many students are trained, they are asked once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble, soft_vote
from edgefer.backbones.joining import joined
from edgefer.backbones.loading import load_backbone
from edgefer.datasets.base import Subset
from edgefer.datasets.cache import folder
from edgefer.errors import InputError, SettingError
from edgefer.files import write_atomic
from edgefer.preprocessing import Floats, to_floats
from edgefer.recipe import Distillation
from edgefer.spec import InputSpec, LabelSet
from edgefer.training.features import feature_network
from edgefer.training.test_time import averaged

ROWS_AT_ONCE = 256
# Rises whenever teachers are asked in another way.
VERSION = 1


@dataclass(frozen=True)
class Lessons:
    """What a student learns from: ``values`` float32 (N, classes), with a hint (N, classes + features).

    The first columns are the teachers' mean probabilities for N images and their mirror images, the others each
    teacher's features one after the other, of zero mean and unit variance over the rows. ``teachers`` maps the
    teachers' files to their hashes.
    """

    values: Floats
    teachers: dict[str, str]


def lessons(
    distillation: Distillation, subset: Subset, spec: InputSpec, labels: LabelSet, note: Callable[[str], None]
) -> Lessons:
    """Ask the teachers about the images of ``subset``, which they get as a network with the input ``spec`` does.

    Raises:
        SettingError: a teacher cannot be opened, or has other classes or another order of them.
    """
    teachers = tuple(_opened(file, labels) for file in distillation.teachers)
    parts = [soft_vote([_cached("answers", one, subset, spec, _answers, note) for one in teachers])]
    if distillation.hint:
        parts += [_standard(_cached("features", one, subset, spec, _features, note)) for one in teachers]
    hashes = {file: one.sha256 for file, one in zip(distillation.teachers, teachers, strict=True)}
    return Lessons(np.concatenate(parts, axis=1, dtype=np.float32), hashes)


def _opened(file: str, labels: LabelSet) -> Backbone:
    key = "training.distillation.teachers"
    try:
        teacher = load_backbone(Path(file).expanduser())
    except InputError as error:
        raise SettingError(f"teacher {error.message}", key=key, hint=error.hint) from error
    if teacher.labels.names != labels.names:
        raise SettingError(
            f"teacher {file}: its classes are {', '.join(teacher.labels.names)}; the data's are "
            f"{', '.join(labels.names)}",
            key=key,
            hint="a teacher has to know the same classes in the same order",
        )
    return teacher


def _cached(
    what: str,
    teacher: Backbone,
    subset: Subset,
    spec: InputSpec,
    ask: Callable[[Backbone, Subset, InputSpec], Floats],
    note: Callable[[str], None],
) -> Floats:
    """A teacher's answers, read back where it was asked the same before."""
    asked = repr((VERSION, what, teacher.sha256, teacher.input, spec, subset.sha256))
    place = folder() / "teachers" / f"{hashlib.sha256(asked.encode()).hexdigest()[:24]}.npy"
    if place.exists():
        return np.asarray(np.load(place, allow_pickle=False), np.float32)
    note(f"asking the teacher {teacher.name} about {len(subset)} images; its {what} are kept in {place}")
    found = ask(joined(Ensemble((teacher,)), spec, teacher.name), subset, spec)
    content = io.BytesIO()
    np.save(content, found.astype(np.float16))
    write_atomic(place, content.getvalue())
    return np.asarray(found.astype(np.float16), np.float32)


def _answers(teacher: Backbone, subset: Subset, _spec: InputSpec) -> Floats:
    return averaged(teacher, np.asarray(subset.pixels), "flip")


def _features(teacher: Backbone, subset: Subset, spec: InputSpec) -> Floats:
    network = feature_network(teacher.model)
    starts = range(0, len(subset), ROWS_AT_ONCE)
    return np.concatenate([_vectors(network, subset.pixels[i : i + ROWS_AT_ONCE], spec) for i in starts])


def _vectors(network: object, pixels: np.ndarray, spec: InputSpec) -> Floats:
    """Features (B, D), the mean over the images and their mirror images."""
    views: Sequence[np.ndarray] = (pixels, np.ascontiguousarray(pixels[:, :, ::-1]))
    found = [network.predict_on_batch(to_floats(view, spec)) for view in views]  # type: ignore[attr-defined]
    return np.asarray(np.mean(found, axis=0), np.float32)


def _standard(features: Floats) -> Floats:
    """Each column with zero mean and unit variance; a constant one is all zeros."""
    spread = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(spread > 0, spread, 1), np.float32)
