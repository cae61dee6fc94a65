"""A saved network as what training starts from."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
from training_samples import NAMES, UNTAUGHT, build_tiny, tiny_dataset, tiny_recipe

from edgefer.errors import InputError, SettingError, UntrustedCodeError
from edgefer.files import sha256_of
from edgefer.spec import LabelSet
from edgefer.training.ancestry import check_further
from edgefer.training.run import Hooks
from edgefer.training.trainer import train


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "tiny.keras"
    build_tiny((32, 32, 3), 9, None, {}).save(path)
    return path


def from_file(path, *overrides):
    return tiny_recipe(f"backbone={{family='file', weights='{path}'}}", "training.epochs=1", *overrides)


def test_training_goes_on_from_the_files_weights(saved, tmp_path):
    recipe = from_file(saved, "training.optimizer=sgd", "training.learning_rate=1e-9")
    trained = train(recipe, tiny_dataset(), tmp_path / "run")
    before, after = (keras.saving.load_model(path).trainable_weights for path in (saved, trained.path))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)
    assert trained.record.weights == f"{saved} weights"
    assert trained.record.request.models == {str(saved): sha256_of(saved)}


def test_layers_that_were_frozen_in_the_file_train(saved, tmp_path):
    model = keras.saving.load_model(saved)
    model.layers[-1].trainable = False
    model.save(tmp_path / "frozen.keras")
    trained = train(from_file(tmp_path / "frozen.keras"), tiny_dataset(), tmp_path / "run")
    before, after = (one.layers[-1].get_weights()[0] for one in (model, trained.backbone.model))
    assert np.abs(before - after).max() > 1e-4


def test_a_network_without_a_softmax_is_refused_before_it_trains(saved, tmp_path):
    model = keras.saving.load_model(saved)
    model.layers[-1].activation = keras.activations.linear
    model.save(tmp_path / "logits.keras")
    with pytest.raises(SettingError, match=r"logits\.keras: its answers do not sum to 1"):
        train(from_file(tmp_path / "logits.keras"), tiny_dataset(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_how_the_file_was_made_stays_in_the_lineage(saved, tmp_path):
    first = train(from_file(saved), tiny_dataset(), tmp_path / "first")
    second = train(from_file(first.path), tiny_dataset(), tmp_path / "second")
    assert [step.name for step in second.backbone.lineage] == ["train", "train"]
    assert second.backbone.lineage[0] == first.backbone.lineage[0]


def test_a_start_that_was_trained_on_the_test_rows_is_named(saved, tmp_path):
    first = train(from_file(saved), tiny_dataset(), tmp_path / "first")
    trained = tiny_dataset().split("train").take(np.arange(16))
    dealt_anew = replace(tiny_dataset(), splits={**tiny_dataset().splits, "test": trained})
    notes: list[str] = []
    hooks = Hooks(note=notes.append)
    train(from_file(first.path), tiny_dataset(), tmp_path / "same", hooks=hooks)
    assert notes == [UNTAUGHT]
    train(from_file(first.path), dealt_anew, tmp_path / "other", hooks=hooks)
    assert notes[1:] == [
        f"{first.path} was trained on rows dealt otherwise, most likely on many of these test rows of tiny: "
        "scores on them prove nothing",
        UNTAUGHT,
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("backbone={family='file'}",), "the family file needs a model"),
        (("input.channels=1",), r"takes \(32, 32, 3\) a face, the recipe has \(32, 32, 1\)"),
        (("backbone.options.depth=3",), "unknown key"),
        (("backbone.weights=none.keras",), r"none\.keras: no such file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(saved, overrides, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train(from_file(saved, *overrides), tiny_dataset(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


NINE = {"source": "ferplus-9", "names": NAMES}
TAKEN = {"height": 32, "width": 32, "channels": 3, "range": (-1.0, 1.0)}


@pytest.fixture
def described(saved, tmp_path):
    """Put a sidecar beside a copy of the file."""

    def put(input_=(), labels=()):
        path = tmp_path / "copy.keras"
        path.write_bytes(saved.read_bytes())
        said = {"input": {**TAKEN, **dict(input_)}, "labels": {**NINE, **dict(labels)}}
        path.with_suffix(".edgefer.json").write_text(json.dumps(said))
        return path

    return put


@pytest.mark.parametrize(
    ("input_", "labels", "key", "message"),
    [
        ({"range": (0, 1)}, {}, "input.range", "it takes 0..1; the recipe gives -1..1"),
        ({"color": "rgb"}, {}, "input.color", "it takes rgb; the recipe gives gray"),
        ({}, {"names": NAMES[::-1]}, "data.labels", "its classes are unknown, contempt, fear"),
    ],
)
def test_what_the_sidecar_says_is_held_against_the_recipe(described, input_, labels, key, message, tmp_path):
    with pytest.raises(SettingError, match=re.escape(message)) as caught:
        train(from_file(described(input_, labels)), tiny_dataset(), tmp_path / "run")
    assert caught.value.key == key
    assert "a copy without the sidecar" in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("taken", [{}, {"range": None, "mean": (0.5,) * 3, "std": (0.5,) * 3}])
def test_a_sidecar_that_says_the_same_in_any_words_is_fine(described, taken):
    check_further(from_file(described(taken)), LabelSet(source="folder", names=NAMES))


def test_another_number_of_classes_is_left_to_the_networks_own_shape(described, tmp_path):
    eight = replace(tiny_dataset(), labels=LabelSet(source="ferplus-9", names=NAMES[:8]))
    with pytest.raises(InputError, match=r"answers with \(9,\) a face, the recipe has \(8,\)"):
        train(from_file(described()), eight, tmp_path / "run")


def test_under_a_new_head_other_classes_do_not_matter(described):
    file = described(labels={"names": NAMES[::-1]})
    recipe = tiny_recipe(f"backbone={{family='embedding', weights='{file}'}}")
    check_further(recipe, LabelSet(source="ferplus-9", names=NAMES))


def test_code_in_a_file_is_not_run(tmp_path):
    image = keras.Input((32, 32, 3))
    value = keras.layers.Lambda(lambda x: x * 2)(image)
    value = keras.layers.Dense(9, activation="softmax")(keras.layers.GlobalAveragePooling2D()(value))
    keras.Model(image, value).save(tmp_path / "code.keras")
    with pytest.raises((UntrustedCodeError, InputError), match="Lambda"):
        train(from_file(tmp_path / "code.keras"), tiny_dataset(), tmp_path / "run")
