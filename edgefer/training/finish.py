"""The end of a training run: the best epoch's network, its scores and the record."""

from __future__ import annotations

from dataclasses import replace

from edgefer.backbones.base import Backbone
from edgefer.backbones.storage import save_backbone
from edgefer.datasets.base import Dataset
from edgefer.datasets.fingerprints import sample
from edgefer.metrics import Score
from edgefer.spec import Step
from edgefer.training.folder import State
from edgefer.training.keeping import kept
from edgefer.training.record import (
    SCHEMA,
    AugmentedScore,
    Request,
    TrainRecord,
    installed_tools,
    write_record,
)
from edgefer.training.run import Run, Trained
from edgefer.training.scoring import full_score, scores_of_test
from edgefer.training.test_time import augmented_score


def finish(run: Run, request: Request, state: State) -> Trained:
    """Save the best epoch, score it on validation and, once, on test, and write the record last."""
    backbone = _best(run, state)
    test, clean = scores_of_test(backbone, run.dataset)
    record = TrainRecord(
        schema=SCHEMA,
        request=request,
        weights=state.weights,
        epochs=len(state.history),
        best_epoch=state.best_epoch,
        parameters=backbone.model.count_params(),
        validation=full_score(backbone, run.dataset.split("validation")),
        test=test,
        test_clean=clean,
        seconds=sum(epoch.seconds for epoch in state.history),
        backend=_backend(),
        tools=installed_tools(),
        test_augmented=_augmented(backbone, run) if test else None,
        test_sets=_by_set(backbone, run) if test else {},
        teachers=run.lessons.teachers if run.lessons else {},
    )
    path = run.folder.path / "model.keras"
    saved = save_backbone(backbone.after(_step(run, record)), path)
    write_record(run.folder.path / "train.json", record)
    run.folder.finish()
    return Trained(saved, record, path)


def _best(run: Run, state: State) -> Backbone:
    """The network with the best epoch's weights, without optimizer, of Keras's own layers in full precision."""
    run.backbone.model.load_weights(run.folder.path / state.best)
    model = kept(run.backbone.model)
    # A frozen prefix is this run's affair; who trains the kept network further decides anew.
    for layer in model.layers:
        layer.trainable = True
    return replace(run.backbone, model=model)


def _by_set(backbone: Backbone, run: Run) -> dict[str, Score]:
    """Test scores of each merged set's own rows; empty where nothing was merged."""
    names = run.dataset.sets
    if len(names) < 2:
        return {}
    test = run.dataset.split("test")
    parts = {name: test.take(test.sources == number) for number, name in enumerate(names)}
    return {name: full_score(backbone, part) for name, part in parts.items() if len(part)}


def _augmented(backbone: Backbone, run: Run) -> AugmentedScore | None:
    return augmented_score(backbone, run.dataset.split("test"), run.recipe.evaluation.tta)


def _backend() -> str:
    import keras

    return str(keras.backend.backend())


def _step(run: Run, record: TrainRecord) -> Step:
    config = {
        "recipe": run.recipe.id,
        "overrides": list(record.request.overrides),
        "weights": record.weights,
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "data": run.dataset.name,
        "split": run.dataset.dealt,
        "synthetic": run.dataset.synthetic,
        "rows_sha256": record.request.data.sha256,
        "trained_rows": _trained_rows(run.dataset),
        "teachers": list(record.teachers.values()),
    }
    return Step(name="train", config=config, seconds=record.seconds)


def _trained_rows(dataset: Dataset) -> dict[str, str]:
    """A sample of each set's training rows, by which later test rows are held against them at any image size."""
    train = dataset.split("train")
    return {name: sample(train.prints[train.sources == number]) for number, name in enumerate(dataset.sets)}
