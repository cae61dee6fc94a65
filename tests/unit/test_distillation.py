"""A student learns what its teachers answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from training_samples import NAMES, TINY_FAMILY, tiny_dataset, tiny_recipe

from edgefer.backbones.base import Backbone
from edgefer.backbones.evaluation import probabilities
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.storage import save_backbone
from edgefer.errors import InputError, SettingError
from edgefer.recipe import Distillation
from edgefer.spec import InputSpec, LabelSet
from edgefer.training.distilling import loss_class
from edgefer.training.run import Hooks
from edgefer.training.teachers import lessons
from edgefer.training.trainer import train

SPEC = InputSpec(height=32, width=32, channels=3, color="gray", range=(-1.0, 1.0))
LABELS = LabelSet(source="ferplus-9", names=NAMES)


@pytest.fixture(autouse=True)
def _family(monkeypatch):
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Two that judge by brightness: one finds dark faces fearful, the other sad, both find bright ones happy."""
    folder = tmp_path_factory.mktemp("teachers")
    return [_teacher(folder / f"{NAMES[dark]}.keras", dark) for dark in (6, 3)]


def _teacher(path, dark, names=NAMES):
    image = keras.Input((32, 32, 3))
    dense = keras.layers.Dense(9, activation="softmax")
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(image)))
    kernel = np.zeros((3, 9), np.float32)
    kernel[:, 1], kernel[:, dark] = 3, -3
    dense.set_weights([kernel, np.where(np.isin(np.arange(9), (1, dark)), 0, -9).astype(np.float32)])
    labels = LabelSet(source="ferplus-9", names=names)
    save_backbone(Backbone(model, SPEC, labels, (), path.stem, sha256=""), path)
    return str(path)


def distilled(files, *overrides):
    taught = f"training.distillation={{teachers={files}, share=1.0, temperature=1.0}}"
    return tiny_recipe(taught, "training.learning_rate=0.02", "training.epochs=6", *overrides)


def test_lessons_are_the_teachers_vote_and_kept_for_the_next_student(teachers):
    subset, said = tiny_dataset().split("train"), []
    asked = Distillation(teachers=tuple(teachers))
    first = lessons(asked, subset, SPEC, LABELS, said.append)
    again = lessons(asked, subset, SPEC, LABELS, said.append)
    own = [probabilities(load_backbone_of(file), subset.pixels) for file in teachers]
    # The noise is not symmetric, so a mirror image's answer differs a little; 1e-3 is float16's.
    np.testing.assert_allclose(first.values, np.mean(own, axis=0), atol=2e-3)
    assert len(said) == 2
    assert np.array_equal(first.values, again.values)
    assert list(first.teachers) == teachers


def load_backbone_of(file):
    from pathlib import Path

    return load_backbone(Path(file))


def test_hints_are_standard_features_of_every_teacher(teachers):
    subset = tiny_dataset().split("train")
    asked = Distillation(teachers=tuple(teachers), hint=1.0)
    values = lessons(asked, subset, SPEC, LABELS, lambda _: None).values[:, 9:]
    assert values.shape == (len(subset), 6)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-3)


def test_a_student_believes_its_teacher_where_labels_say_otherwise(teachers, tmp_path):
    """Dark faces are labelled neutral (0); the teacher calls them fear (6). One epoch: labels choose among several."""
    steps = ("training.epochs=1", "training.batch_size=2", "training.learning_rate=0.05")
    trained = train(distilled(teachers[:1], *steps), tiny_dataset(), tmp_path / "run")
    test = tiny_dataset().split("test")
    answers = probabilities(trained.backbone, test.pixels)
    dark = test.labels == 0
    assert (answers[dark, 6] > answers[dark, 0]).all()
    assert set(trained.record.teachers) == {teachers[0]}
    assert trained.backbone.lineage[-1].config["teachers"] == list(trained.record.teachers.values())


class StopError(Exception):
    pass


def stop(epoch):
    if epoch.number == 2:
        raise StopError


def test_another_teacher_does_not_go_on_where_one_stopped(teachers, tmp_path):
    file = tmp_path / "teacher.keras"
    recipe = distilled([str(file)], "training.epochs=3")
    for suffix in (".keras", ".edgefer.json"):
        shutil.copy(Path(teachers[0]).with_suffix(suffix), file.with_suffix(suffix))
    with pytest.raises(StopError):
        train(recipe, tiny_dataset(), tmp_path / "cut", hooks=Hooks(epoch=stop))
    shutil.copy(teachers[1], file)
    with pytest.raises(InputError, match=r"other settings: models, recipe\.training\.distillation\.teachers"):
        train(recipe, tiny_dataset(), tmp_path / "cut", resume=True)


def test_teachers_that_stand_elsewhere_are_the_same_in_their_order(teachers, tmp_path):
    with pytest.raises(StopError):
        train(
            distilled(teachers, "training.epochs=3"),
            tiny_dataset(),
            tmp_path / "cut",
            hooks=Hooks(epoch=stop),
        )
    for teacher in map(Path, teachers):
        for suffix in (".keras", ".edgefer.json"):
            shutil.copy(teacher.with_suffix(suffix), tmp_path)
    moved = [str(tmp_path / Path(teacher).name) for teacher in teachers]
    with pytest.raises(InputError, match=r"other settings: recipe\.training\.distillation\.teachers"):
        train(distilled(moved[::-1], "training.epochs=3"), tiny_dataset(), tmp_path / "cut", resume=True)
    resumed = train(distilled(moved, "training.epochs=3"), tiny_dataset(), tmp_path / "cut", resume=True)
    assert resumed.record.epochs == 3


def test_a_hint_leaves_nothing_in_the_kept_network_and_survives_resuming(teachers, tmp_path):
    recipe = distilled(teachers, "training.distillation.hint=0.5", "training.epochs=3")
    whole = train(recipe, tiny_dataset(), tmp_path / "whole")
    with pytest.raises(StopError):
        train(recipe, tiny_dataset(), tmp_path / "cut", hooks=Hooks(epoch=stop))
    resumed = train(recipe, tiny_dataset(), tmp_path / "cut", resume=True)
    assert whole.backbone.model.output_shape == (None, 9)
    assert whole.record.validation == resumed.record.validation
    load_backbone(tmp_path / "whole" / "model.keras")


@pytest.mark.parametrize(
    ("file", "message"),
    [("missing.keras", "teacher missing.keras: no such file"), ("swapped", "same classes in the same order")],
)
def test_a_teacher_that_cannot_teach_is_refused_before_training(file, message, tmp_path):
    if file == "swapped":
        file = _teacher(tmp_path / "swapped.keras", 6, names=(NAMES[1], NAMES[0], *NAMES[2:]))
    with pytest.raises(SettingError, match=message) as caught:
        train(distilled([file]), tiny_dataset(), tmp_path / "run")
    assert caught.value.key == "training.distillation.teachers"
    assert not (tmp_path / "run").exists()


def test_the_loss_is_hintons():
    rng = np.random.default_rng(0)
    wanted, taught, answered = (softmax(rng.normal(size=(5, 3)), axis=1).astype(np.float32) for _ in range(3))
    temperature, share = 3.0, 0.25
    hard = -np.sum(wanted * np.log(answered), axis=1)
    soft = -np.sum(
        softmax(np.log(taught) / temperature, axis=1) * log_softmax(np.log(answered) / temperature, axis=1),
        axis=1,
    )
    expected = np.mean((1 - share) * hard + share * temperature**2 * soft)
    loss = loss_class()(3, temperature, share, 0.0, 0.0)
    # float32 logarithms of a handful of values.
    assert float(loss(np.concatenate([wanted, taught], axis=1), answered)) == pytest.approx(
        expected, rel=1e-5
    )
