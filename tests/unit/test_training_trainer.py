"""Whole training runs, with a network of one convolution on 48 pictures of noise."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_samples import TINY_FAMILY, UNTAUGHT, tiny_dataset, tiny_recipe

from edgefer.backbones.base import Sidecar
from edgefer.datasets.base import Split, Subset
from edgefer.datasets.scoring import may_have_been_trained_on
from edgefer.errors import InputError, TrainingError, WeightsUnavailableError
from edgefer.registry import discover
from edgefer.training.network import build_network
from edgefer.training.record import TrainRecord
from edgefer.training.run import Hooks, Trained
from edgefer.training.trainer import train

RICH = ("augmentation.preset=strong", "training.optimizer=adamw", "training.epochs=3")
FULL = (
    "training.epochs=3",
    "training.optimizer=sgd",
    "training.learning_rate=0.05",
    "training.weight_decay=0.001",
    "training.schedule={kind='plateau', patience=1}",
    "training.ema=0.9",
    "training.oversample=0.8",
    "training.class_weights=inverse",
    "training.precision=mixed-float16",
)


@pytest.fixture(scope="module", autouse=True)
def tiny_family() -> Iterator[None]:
    """The one family that recipes find here, beside MobileNetV2."""
    families = {"tiny": TINY_FAMILY, **discover("edgefer.backbones.families", "FAMILIES")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgefer.training.network.discover", lambda *_: families)
        yield


class StopAfter:
    """Interrupts a run, in the middle of the epoch after ``epochs`` finished ones."""

    def __init__(self, epochs: int) -> None:
        self.steps = epochs * 3 + 2

    def __call__(self, done: float, *_: object) -> None:
        if done == self.steps:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tiny_recipe(*RICH), tiny_dataset(), tmp_path_factory.mktemp("runs") / "whole")


def test_a_run_leaves_model_sidecar_history_and_record(finished: Trained):
    import keras
    import msgspec

    folder = finished.path.parent
    names = {"model.keras", "model.edgefer.json", "history.csv", "train.json", "request.json"}
    assert {file.name for file in folder.iterdir()} == names
    record = msgspec.json.decode((folder / "train.json").read_bytes(), type=TrainRecord)
    assert record == finished.record
    assert (record.epochs, record.weights) == (3, "random weights")
    assert record.request.data.rows == {"train": 48, "validation": 16, "test": 16}
    assert record.test is not None
    assert record.test_clean is not None
    assert (record.test.n, record.test_clean.n) == (16, 12)
    sidecar = msgspec.json.decode((folder / "model.edgefer.json").read_bytes(), type=Sidecar)
    assert sidecar.input == tiny_recipe().input
    assert [step.name for step in sidecar.lineage] == ["train"]
    model = keras.saving.load_model(finished.path)
    assert not model.compiled
    assert model.output_shape == (None, 9)


def test_a_run_says_which_rows_it_saw_at_any_image_size(finished: Trained):
    train, test = (tiny_dataset().split(name) for name in ("train", "test"))
    assert not may_have_been_trained_on(finished.backbone.lineage, test)
    half = Subset(train.pixels[:, ::2, ::2], train.labels, train.soft, train.leaked, prints=train.prints)
    assert may_have_been_trained_on(finished.backbone.lineage, half.take(np.arange(10)))


def test_the_best_epoch_on_validation_is_kept(finished: Trained):
    with (finished.path.parent / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["validation_weighted_f1"]) for row in rows]
    assert [int(row["number"]) for row in rows] == [1, 2, 3]
    assert finished.record.best_epoch == 1 + scores.index(max(scores))
    assert finished.record.validation.weighted_f1 == pytest.approx(max(scores))


@pytest.mark.parametrize("settings", [RICH, FULL], ids=["rich", "full"])
def test_an_interrupted_run_resumes_to_the_same_result(settings: tuple[str, ...], tmp_path: Path):
    finished = go_on(tmp_path / "whole", settings=settings)
    out = tmp_path / "run"
    for epochs in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            go_on(out, resume=epochs > 0, hooks=Hooks(step=StopAfter(epochs)), settings=settings)
        assert not (out / "train.json").exists()
    assert [file.name for file in out.glob("epoch-*")] == ["epoch-001.keras"]
    resumed = go_on(out, resume=True, settings=settings)
    for one, two in zip(history(resumed), history(finished), strict=True):
        assert one == pytest.approx(two, rel=1e-4, abs=1e-5)
    pairs = zip(resumed.backbone.model.get_weights(), finished.backbone.model.get_weights(), strict=True)
    assert max(np.abs(one - two).max() for one, two in pairs) < 1e-3
    assert resumed.record.best_epoch == finished.record.best_epoch


def go_on(
    out: Path, *, resume: bool = False, hooks: Hooks | None = None, settings: tuple[str, ...] = RICH
) -> Trained:
    return train(tiny_recipe(*settings), tiny_dataset(), out, resume=resume, hooks=hooks)


def test_the_kept_weights_are_the_averaged_ones(tmp_path: Path):
    steady = ("training.epochs=1", "training.learning_rate=0.1", "training.ema=0.999")
    averaged = train(tiny_recipe(*steady), tiny_dataset(), tmp_path / "averaged")
    plain = train(tiny_recipe(*steady, "training.ema=0"), tiny_dataset(), tmp_path / "plain")
    kernels = [one.backbone.model.layers[0].get_weights()[0] for one in (averaged, plain)]
    start = build_network(tiny_recipe(*steady), 9)[0].layers[0].get_weights()[0]
    # An average over hardly more than the first step stays nearer to where training began.
    assert np.abs(kernels[0] - start).mean() < 0.7 * np.abs(kernels[1] - start).mean()
    assert averaged.record.validation.weighted_f1 == pytest.approx(float(history(averaged)[0][-2]), abs=1e-9)


def history(trained: Trained) -> list[list[float]]:
    with (trained.path.parent / "history.csv").open() as file:
        return [[float(v) for k, v in row.items() if k != "seconds"] for row in csv.DictReader(file)]


def test_a_folder_in_use_is_refused(finished: Trained):
    before = (finished.path.parent / "train.json").read_bytes()
    with pytest.raises(InputError, match="is not empty; give another --out"):
        go_on(finished.path.parent, resume=False)
    with pytest.raises(InputError, match="is finished: nothing to resume"):
        go_on(finished.path.parent, resume=True)
    assert (finished.path.parent / "train.json").read_bytes() == before


def test_an_unfinished_run_is_not_overwritten_and_not_mixed(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go_on(out, resume=False, hooks=Hooks(step=StopAfter(0)))
    with pytest.raises(InputError, match="is not empty; add --resume"):
        go_on(out, resume=False)
    with pytest.raises(InputError, match=r"begun with other settings: recipe\.seed"):
        train(tiny_recipe(*RICH, "seed=8"), tiny_dataset(), out, resume=True)


def test_what_becomes_of_the_network_afterwards_keeps_no_run_from_going_on(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go_on(out, resume=False, hooks=Hooks(step=StopAfter(0)))
    request = json.loads((out / "request.json").read_text())
    del request["recipe"]["convert"]  # of a time when recipes did not have it
    (out / "request.json").write_text(json.dumps(request))
    ending = ("stages=[{stage='equalize'}]", "convert={formats=['tflite-int8']}")
    finished = go_on(out, resume=True, settings=(*RICH, *ending))
    assert finished.record.request.recipe.convert.formats == ("tflite-int8",)


def test_a_run_goes_on_where_the_same_rows_are_called_otherwise(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go_on(out, hooks=Hooks(step=StopAfter(0)))
    moved = replace(tiny_dataset(), name="copied elsewhere")
    trained = train(tiny_recipe(*RICH), moved, out, resume=True)
    assert trained.record.request.data.sha256 == {name: rows.sha256 for name, rows in moved.splits.items()}


def test_votes_that_changed_where_no_label_did_are_other_data_but_older_runs_go_on(tmp_path: Path):
    out, data = tmp_path / "run", tiny_dataset()
    with pytest.raises(KeyboardInterrupt):
        go_on(out, hooks=Hooks(step=StopAfter(0)))
    train_split = data.split("train")
    voted = replace(train_split, soft=np.float32(0.9) * train_split.soft + np.float32(0.1 / 9))
    changed = replace(data, splits={**data.splits, "train": voted})
    with pytest.raises(InputError, match=r"begun with other settings: data\.votes_sha256\.train;"):
        train(tiny_recipe(*RICH), changed, out, resume=True)
    request = json.loads((out / "request.json").read_text())
    del request["data"]["votes_sha256"]
    (out / "request.json").write_text(json.dumps(request))
    assert train(tiny_recipe(*RICH), changed, out, resume=True).record.request.data.votes_sha256


def test_there_must_be_something_to_resume(tmp_path: Path):
    with pytest.raises(InputError, match="holds no run"):
        go_on(tmp_path / "none", resume=True)


def test_a_diverging_run_stops_and_keeps_nothing_half_written(tmp_path: Path):
    recipe = tiny_recipe("training.optimizer=sgd-nesterov", "training.learning_rate=1e30")
    with pytest.raises(TrainingError, match=r"the loss is no number any more in step .* of epoch 1"):
        train(recipe, tiny_dataset(), tmp_path / "run")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["request.json"]


def test_weights_lost_in_an_epochs_last_step_are_a_divergence_too(tmp_path: Path):
    one_step = ("training.batch_size=48", "training.optimizer=sgd-nesterov", "training.learning_rate=1e38")
    with pytest.raises(TrainingError, match=r"no numbers any more at the end of epoch 1 .*learning_rate"):
        train(tiny_recipe(*one_step), tiny_dataset(), tmp_path / "run")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["request.json"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("backbone.family=mobilnetv2", "did you mean 'mobilenetv2'"),
        ("backbone={family='mobilenetv2', options={dropuot=0.1}}", r"unknown key .*\.dropuot.*'dropout'"),
        ("backbone={family='mobilenetv2', options={stem_stride=3}}", "stem_stride"),
        ("backbone={family='mobilenetv2', weights='none.h5'}", "the network cannot be built"),
        ("data.labels=ferplus-8", "is for ferplus-8 labels, the data has ferplus-9"),
        ("input.height=48", "images are 32x32"),
    ],
)
def test_a_recipe_that_cannot_be_built_claims_no_folder(setting: str, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        train(tiny_recipe(setting), tiny_dataset(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_without_an_image_of_its_own_is_refused_before_anything_is_trained(
    split: Split, tmp_path: Path
):
    data = tiny_dataset()
    leaked = replace(data.split(split), leaked=np.ones(16, np.bool_))
    with pytest.raises(InputError, match=f"every image of tiny's {split} split also stands in the training"):
        train(tiny_recipe(), replace(data, splits={**data.splits, split: leaked}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_merged_set_whose_test_rows_all_leaked_is_scored_with_the_others(tmp_path: Path):
    data = tiny_dataset()
    test = data.split("test")
    merged = replace(test, sources=test.leaked.astype(np.int64))
    data = replace(data, splits={**data.splits, "test": merged}, sets=("clean", "leaked"))
    trained = train(tiny_recipe("training.epochs=1"), data, tmp_path / "run")
    assert {name: one.n for name, one in trained.record.test_sets.items()} == {"clean": 12, "leaked": 4}


def test_how_rows_were_dealt_is_the_datas_word_for_a_stage_of_compression_has_no_recipe_of_it(tmp_path: Path):
    data = replace(tiny_dataset(), dealt="grouped")
    trained = train(tiny_recipe("training.epochs=1"), data, tmp_path / "run")
    assert trained.backbone.lineage[-1].config["split"] == "grouped"


def test_data_without_a_test_split_is_trained_and_says_so(tmp_path: Path):
    trained = train(
        tiny_recipe("training.epochs=1"), tiny_dataset(splits=("train", "validation")), tmp_path / "run"
    )
    assert trained.record.test is None
    with pytest.raises(InputError, match="has no validation rows"):
        train(tiny_recipe(), tiny_dataset(splits=("train",)), tmp_path / "other")


def test_weights_that_cannot_be_fetched_are_an_error_or_a_recorded_remark(tmp_path: Path):
    wanted = "backbone={family='tiny', options={}, weights='imagenet', weights_missing='POLICY'}"
    with pytest.raises(WeightsUnavailableError, match="imagenet weights could not be fetched"):
        train(tiny_recipe(wanted.replace("POLICY", "error")), tiny_dataset(), tmp_path / "strict")
    assert not (tmp_path / "strict").exists()
    notes: list[str] = []
    lenient = tiny_recipe(wanted.replace("POLICY", "random"), "training.epochs=1")
    trained = train(lenient, tiny_dataset(), tmp_path / "lenient", hooks=Hooks(note=notes.append))
    said = "random weights (imagenet weights could not be fetched: no route)"
    assert trained.record.weights == said
    assert trained.backbone.lineage[0].config["weights"] == said
    assert notes == [f"training starts from {said}", UNTAUGHT]
