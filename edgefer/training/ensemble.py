"""Trains an ensemble recipe: its members one by one, then one network that answers with their vote.

The members stand in folders of their own below the ensemble's, ``1-<recipe>``, ``2-<recipe>`` and so on, each as
any other run. A stopped ensemble goes on with the member it was stopped in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble
from edgefer.backbones.evaluation import probabilities
from edgefer.backbones.joining import joined
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.storage import save_backbone
from edgefer.datasets.base import Dataset
from edgefer.errors import InputError
from edgefer.metrics import Score, mcnemar_p
from edgefer.preprocessing import Pixels
from edgefer.recipe import EnsembleRecipe, Member, Recipe
from edgefer.recipe_loading import load_single, naming_lines
from edgefer.spec import Frozen, InputSpec
from edgefer.training.ancestry import models_named
from edgefer.training.folder import RunFolder
from edgefer.training.record import (
    AugmentedScore,
    DataUsed,
    TrainRecord,
    data_used,
    installed_tools,
    read_record,
    write_record,
)
from edgefer.training.run import Hooks
from edgefer.training.scoring import full_score, scores_of_test
from edgefer.training.test_time import augmented_score
from edgefer.training.trainer import train

SCHEMA = 1

Load = Callable[[InputSpec], Dataset]


class EnsembleRequest(Frozen, frozen=True):
    """What was asked for: the recipe after the ``overrides`` of its own, those of every member, and the data.

    ``data`` identifies the rows at the ensemble's own image size.
    """

    recipe: EnsembleRecipe
    overrides: tuple[str, ...]
    member_overrides: tuple[str, ...]
    data: DataUsed


class MemberRecord(Frozen, frozen=True):
    """One member: its ``folder`` below the ensemble's, which holds its own record, and what that says in short."""

    folder: str
    recipe: str
    overrides: tuple[str, ...]
    model_sha256: str
    weights: str
    epochs: int
    best_epoch: int
    validation: Score
    test: Score | None


class EnsembleRecord(Frozen, frozen=True):
    """What really ran; the scores are those of the one network that votes.

    ``best_member`` is the folder of the member with the best weighted F1 on the validation split, ``p`` McNemar's
    for the vote and that member being right equally often on the test split, None where there is none.
    ``test_augmented`` is as in ``TrainRecord``.

    Schema history: 1 - first version.
    """

    schema: int
    request: EnsembleRequest
    members: tuple[MemberRecord, ...]
    best_member: str
    parameters: int
    validation: Score
    test: Score | None
    test_clean: Score | None
    p: float | None
    seconds: float
    tools: dict[str, str]
    test_augmented: AugmentedScore | None = None


@dataclass(frozen=True)
class TrainedEnsemble:
    """The network that votes, as saved at ``path``, and the record of the run."""

    backbone: Backbone
    record: EnsembleRecord
    path: Path


@dataclass(frozen=True)
class _Job:
    """One member's run: what is trained, on which rows, where; ``name`` is the recipe's id or file."""

    name: str
    recipe: Recipe
    overrides: tuple[str, ...]
    dataset: Dataset
    folder: RunFolder


def train_ensemble(
    recipe: EnsembleRecipe,
    load: Load,
    out: Path,
    *,
    resume: bool = False,
    overrides: Sequence[str] = (),
    member_overrides: Sequence[str] = (),
    hooks: Hooks | None = None,
) -> TrainedEnsemble:
    """Train all members and join them; ``load`` gives the ensemble's data as an input wants it.

    ``resume`` keeps finished members and goes on with unfinished ones. ``member_overrides`` change every member's
    recipe after its own settings.

    Raises:
        InputError: a member's recipe cannot be used, or ``out`` is not as it must be.
        TrainingError: a member's loss is no number any more.
    """
    hooks = hooks or Hooks()
    jobs = [_job(recipe, number, load, out, tuple(member_overrides)) for number in range(len(recipe.members))]
    dataset = load(recipe.input)
    request = EnsembleRequest(
        recipe=recipe,
        overrides=tuple(overrides),
        member_overrides=tuple(member_overrides),
        data=data_used(dataset),
    )
    _claim(out, request, resume)
    records = [_train_member(job, _shared(hooks, number, len(jobs))) for number, job in enumerate(jobs)]
    return _finish(request, jobs, records, load, out)


def member_recipe(member: Member, ensemble: EnsembleRecipe, more: tuple[str, ...] = ()) -> Recipe:
    """A member's recipe with its settings and ``more``, on the ensemble's data.

    Raises:
        InputError: there is no such recipe, it is an ensemble itself, or a setting is wrong.
    """
    return msgspec.structs.replace(load_single(member.recipe, (*member.set, *more)), data=ensemble.data)


def _job(ensemble: EnsembleRecipe, number: int, load: Load, out: Path, more: tuple[str, ...]) -> _Job:
    member = ensemble.members[number]
    recipe = member_recipe(member, ensemble, more)
    folder = RunFolder(out / f"{number + 1}-{recipe.id}")
    return _Job(member.recipe, recipe, (*member.set, *more), load(recipe.input), folder)


def _claim(out: Path, request: EnsembleRequest, resume: bool) -> None:
    """Write the request into a free folder, or make sure that the one to be resumed was begun with it."""
    folder, file = RunFolder(out), out / "request.json"
    if not resume:
        folder.check_free()
        write_record(file, request)
        return
    if not folder.unfinished:
        what = "is finished" if (out / "train.json").exists() else "holds no run"
        raise InputError(
            f"{out} {what}: nothing to resume", hint="leave --resume away, or give another --out"
        )
    before = read_record(file, EnsembleRequest)
    if before != msgspec.structs.replace(request, data=request.data.as_known_to(before.data)):
        raise InputError(
            f"{out} was begun with other settings or data",
            hint="resume with the same recipe, settings and data, or give another --out",
        )


def _shared(hooks: Hooks, number: int, members: int) -> Hooks:
    """The hooks as one member uses them: its steps are a part of the whole."""

    def step(done: float, total: float, remark: str) -> None:
        hooks.step(number + done / total, members, f"member {number + 1}/{members} {remark}")

    return replace(hooks, step=step)


def _train_member(job: _Job, hooks: Hooks) -> TrainRecord:
    import keras

    finished = job.folder.path / "train.json"
    if finished.exists():
        record: TrainRecord = read_record(finished, TrainRecord)
        before, data = record.request, data_used(job.dataset)
        if (before.recipe, before.data) != (job.recipe, data.as_known_to(before.data)):
            raise InputError(
                f"{job.folder.path} was trained with other settings or data", hint="give another --out"
            )
        _require_same_models(before.models, job)
        return record
    hooks.note(f"{job.folder.path.name}: training")
    keras.utils.clear_session()  # or each member's memory is held until the last is trained
    with naming_lines(job.name, job.overrides):
        done = train(
            job.recipe,
            job.dataset,
            job.folder.path,
            resume=job.folder.unfinished,
            overrides=job.overrides,
            hooks=hooks,
        )
    return done.record


def _require_same_models(before: dict[str, str], job: _Job) -> None:
    """Refuse a finished member that began with, or learned from, a file that is another one by now.

    Of files that are gone, and of those that older records do not name, nothing is known.
    """
    now = models_named(job.recipe)
    if changed := [name for name, sha256 in now.items() if before.get(name, sha256) != sha256]:
        raise InputError(
            f"{job.folder.path} was trained with another {' and another '.join(changed)}",
            hint="give another --out",
        )


def _finish(
    request: EnsembleRequest, jobs: list[_Job], records: list[TrainRecord], load: Load, out: Path
) -> TrainedEnsemble:
    """Join the members, score what became of them, write model and record."""
    recipe, path = request.recipe, out / "model.keras"
    ensemble = Ensemble(tuple(load_backbone(job.folder.path / "model.keras") for job in jobs))
    backbone, dataset = joined(ensemble, recipe.input, recipe.id), load(recipe.input)
    best = max(range(len(jobs)), key=lambda number: records[number].validation.weighted_f1)
    test, clean = scores_of_test(backbone, dataset)
    record = EnsembleRecord(
        schema=SCHEMA,
        request=request,
        members=tuple(map(_in_short, jobs, records, ensemble.members)),
        best_member=jobs[best].folder.path.name,
        parameters=backbone.model.count_params(),
        validation=full_score(backbone, dataset.split("validation")),
        test=test,
        test_clean=clean,
        p=_p(backbone, dataset, ensemble.members[best], jobs[best].dataset) if test else None,
        seconds=sum(each.seconds for each in records),
        tools=installed_tools(),
        test_augmented=augmented_score(backbone, dataset.split("test"), recipe.evaluation.tta)
        if test
        else None,
    )
    saved = save_backbone(backbone, path)
    write_record(out / "train.json", record)
    return TrainedEnsemble(saved, record, path)


def _in_short(job: _Job, record: TrainRecord, member: Backbone) -> MemberRecord:
    return MemberRecord(
        folder=job.folder.path.name,
        recipe=job.recipe.id,
        overrides=job.overrides,
        model_sha256=member.sha256,
        weights=record.weights,
        epochs=record.epochs,
        best_epoch=record.best_epoch,
        validation=record.validation,
        test=record.test,
    )


def _p(backbone: Backbone, dataset: Dataset, member: Backbone, members_dataset: Dataset) -> float:
    labels = dataset.split("test").labels

    def right(asked: Backbone, pixels: Pixels) -> Any:
        return np.asarray(probabilities(asked, pixels).argmax(axis=1) == labels)

    return mcnemar_p(
        right(backbone, dataset.split("test").pixels), right(member, members_dataset.split("test").pixels)
    )
