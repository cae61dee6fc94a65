"""What stages work with: the training room, opened to the compression room, which does not know it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edgefer.backbones.base import Backbone
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.storage import save_backbone
from edgefer.compression.base import Batch, Workshop
from edgefer.datasets.base import Dataset
from edgefer.errors import SettingError
from edgefer.formats.base import Format
from edgefer.pacing import Stopwatch
from edgefer.recipe import BackbonePart, DataPart, Distillation, Recipe, Source, Tuning
from edgefer.spec import InputSpec
from edgefer.training.batches import batches, steps_per_epoch
from edgefer.training.drawing import rows_per_epoch
from edgefer.training.folder import RunFolder
from edgefer.training.run import Hooks
from edgefer.training.schedule import learning_rate
from edgefer.training.trainer import train


def workshop(
    original: Backbone,
    spec: InputSpec,
    dataset: Dataset,
    folder: Path,
    seed: int,
    hooks: Hooks,
    form: Format,
) -> Workshop:
    """The workshop of a stage that gets a backbone with the input ``spec``, works in ``folder`` and times ``form``.

    ``original`` is the backbone that came into the run.
    """
    bench = _Bench(spec, dataset, folder, seed, hooks)
    return Workshop(
        original=original,
        dataset=dataset,
        folder=folder,
        seed=seed,
        tune=bench.tune,
        student=bench.student,
        batches=bench.batches,
        steps=bench.steps,
        rate=learning_rate,
        pace=Stopwatch(form, dataset, folder / "latency"),
        step=hooks.step,
        note=hooks.note,
    )


@dataclass(frozen=True)
class _Bench:
    """The parts of a workshop that need a data set and a folder."""

    spec: InputSpec
    dataset: Dataset
    folder: Path
    seed: int
    hooks: Hooks

    def tune(
        self, backbone: Backbone, tuning: Tuning, name: str, teacher: Backbone | None = None
    ) -> Backbone:
        """Train ``backbone`` further, on ``teacher``'s answers too where one is given.

        The training reads from the file that it starts from how the backbone was made.
        """
        start = _kept(backbone, self.folder / f"{name}-start.keras")
        teachers = (teacher,) if teacher else ()
        part = BackbonePart(family="file", weights=str(start))
        return replace(self._train(part, backbone.input, tuning, name, teachers), name=backbone.name)

    def student(
        self,
        part: BackbonePart,
        spec: InputSpec,
        tuning: Tuning,
        name: str,
        teachers: Sequence[Backbone | str],
    ) -> Backbone:
        """Train a new network on the answers of ``teachers``, backbones or files of some."""
        return replace(self._train(part, spec, tuning, name, teachers), name=part.family)

    def batches(self, tuning: Tuning, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, for a training loop of a stage's own."""
        recipe = self._recipe(BackbonePart(family="file"), self.spec, tuning, "batches")
        subset = self.dataset.split("train")
        return ((one.inputs, one.targets, one.weights) for one in batches(subset, recipe, epoch))

    def steps(self, tuning: Tuning) -> int:
        """How many batches an epoch has."""
        labels = self.dataset.split("train").labels
        rows = rows_per_epoch(labels, tuning.training.oversample)
        return steps_per_epoch(rows, tuning.training.batch_size)

    def _train(
        self,
        part: BackbonePart,
        spec: InputSpec,
        tuning: Tuning,
        name: str,
        teachers: Sequence[Backbone | str],
    ) -> Backbone:
        """A training run in a folder of its own, resumed where one was begun, read back where it is finished."""
        folder = RunFolder(self.folder / name)
        if (folder.path / "train.json").exists():
            return load_backbone(folder.path / "model.keras")
        recipe = self._recipe(part, spec, self._taught(tuning, name, teachers), name)
        try:
            trained = train(recipe, self.dataset, folder.path, resume=folder.unfinished, hooks=self.hooks)
        except SettingError as error:
            key = "tuning" if error.key.startswith("backbone") else f"tuning.{error.key}"
            raise SettingError(error.message, key=key, hint=error.hint) from error
        return trained.backbone

    def _taught(self, tuning: Tuning, name: str, teachers: Sequence[Backbone | str]) -> Tuning:
        """``tuning`` with ``teachers`` beside those that it names itself."""
        if not teachers:
            return tuning
        files = tuple(self._file(number, name, one) for number, one in enumerate(teachers, start=1))
        said = tuning.training.distillation or Distillation()
        distillation = msgspec.structs.replace(said, teachers=(*files, *said.teachers))
        training = msgspec.structs.replace(tuning.training, distillation=distillation)
        return msgspec.structs.replace(tuning, training=training)

    def _file(self, number: int, name: str, teacher: Backbone | str) -> str:
        if isinstance(teacher, str):
            return teacher
        return str(_kept(teacher, self.folder / f"{name}-teacher{number}.keras"))

    def _recipe(self, part: BackbonePart, spec: InputSpec, tuning: Tuning, name: str) -> Recipe:
        return Recipe(
            id=name,
            title=f"stage {self.folder.name}",
            source=Source(document="none: a stage of compression"),
            data=DataPart(labels=self.dataset.labels.source),
            input=spec,
            backbone=part,
            training=tuning.training,
            augmentation=tuning.augmentation,
            seed=self.seed,
        )


def _kept(backbone: Backbone, file: Path) -> Path:
    """``backbone`` as a file, written once: a stage that is begun again goes on with what it made first."""
    if not file.exists():
        save_backbone(backbone, file)
    return file
