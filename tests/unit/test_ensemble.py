"""Backbones that vote: the type, the one network that does the same, and the recipe that trains both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from training_samples import TINY, TINY_FAMILY, build_tiny, tiny_dataset

from edgefer.backbones.base import Backbone
from edgefer.backbones.ensemble import Ensemble, soft_vote
from edgefer.backbones.evaluation import probabilities
from edgefer.backbones.joining import joined
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.storage import save_backbone
from edgefer.datasets.base import Dataset, Subset
from edgefer.datasets.labels import LABEL_SETS
from edgefer.errors import InputError
from edgefer.preprocessing import Pixels, read_pixels
from edgefer.recipe import DataPart, EnsembleRecipe, Member, Source
from edgefer.registry import discover
from edgefer.spec import InputSpec, LabelSet
from edgefer.training.ensemble import train_ensemble
from edgefer.training.run import Hooks

LABELS = LABEL_SETS["ferplus-9"]
GRAY3 = InputSpec(height=24, width=24, channels=3, color="gray", range=(-1.0, 1.0))


def made(spec: InputSpec, seed: int, labels: LabelSet = LABELS) -> Backbone:
    """A small network whose answers spread; all of them name their layers alike."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((spec.height, spec.width, spec.channels), name="image")
    value = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(image)
    value = keras.layers.BatchNormalization(name="norm")(keras.layers.Add(name="add")([value, value]))
    value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    large = keras.initializers.RandomNormal(stddev=40 / spec.range[1] if spec.range else 20, seed=seed)
    output = keras.layers.Dense(len(labels), "softmax", kernel_initializer=large, name="probabilities")(value)
    return Backbone(keras.Model(image, output), spec, labels, (), f"net{seed}", f"hash{seed}")


def faces(count: int = 12, size: int = 24) -> Pixels:
    """Smooth gray images (N, size, size, 1) that differ."""
    from PIL import Image

    coarse = np.random.default_rng(3).integers(0, 256, (count, 4, 4), dtype=np.uint8)
    return np.stack([read_pixels(Image.fromarray(c), height=size, width=size, channels=1) for c in coarse])


def at_size(spec: InputSpec) -> Pixels:
    from PIL import Image

    return np.stack(
        [
            read_pixels(Image.fromarray(one[..., 0]), height=spec.height, width=spec.width, channels=1)
            for one in faces()
        ]
    )


SPECS = (
    GRAY3,
    InputSpec(height=24, width=24, channels=1, range=(0.0, 255.0)),
    InputSpec(height=24, width=24, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    InputSpec(height=48, width=40, channels=3, color="gray", range=(0.0, 1.0)),
    InputSpec(height=13, width=24, channels=1, range=(0.0, 1.0)),
)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble(tuple(made(spec, seed) for seed, spec in enumerate(SPECS)))


def test_a_vote_is_the_mean_of_what_each_member_says_in_its_own_size_and_range(ensemble: Ensemble):
    vote = ensemble.probabilities(at_size)
    alone = [probabilities(member, at_size(member.input)) for member in ensemble.members]
    assert vote == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert vote.dtype == np.float32
    assert len({tuple(each.argmax(axis=1)) for each in alone}) > 1


def test_soft_and_hard_vote_differ():
    # Two lean a little to class 0, one is sure of class 1.
    answers = [np.array([[0.55, 0.45]], np.float32)] * 2 + [np.array([[0.05, 0.95]], np.float32)]
    assert soft_vote(answers).argmax() == 1


def test_members_with_other_classes_are_refused_with_both_named():
    names = ("anger", *LABELS.names[1:4], "neutral", *LABELS.names[5:])
    other = made(GRAY3, 9, LabelSet(source="ferplus-9", names=names))
    with pytest.raises(InputError, match=r"net0 knows the classes neutral, .*; net9 knows anger"):
        Ensemble((made(GRAY3, 0), other))
    with pytest.raises(InputError, match="at least one model"):
        Ensemble(())


def test_members_asked_about_different_numbers_of_images_are_not_averaged(ensemble: Ensemble):
    with pytest.raises(ValueError, match="images"):
        ensemble.answers(lambda spec: at_size(spec)[: spec.height // 4])


@pytest.fixture(scope="module")
def one(ensemble: Ensemble) -> Backbone:
    return joined(ensemble, GRAY3, "s1-vote")


def test_one_network_answers_like_the_vote(ensemble: Ensemble, one: Backbone):
    expected, found = ensemble.probabilities(at_size), probabilities(one, faces())
    # One resizes in floats where the other rounds to whole pixels: at most half a step of 255 in each input.
    assert found == pytest.approx(expected, abs=0.005)
    assert expected.max(axis=0).max() - expected.min(axis=0).min() > 0.2
    same_size = Ensemble(ensemble.members[:3])
    exact = probabilities(joined(same_size, GRAY3, "exact"), faces())
    assert exact == pytest.approx(same_size.probabilities(at_size), abs=1e-5)


def test_one_network_is_saved_loaded_without_trust_and_says_who_voted(one: Backbone, tmp_path: Path):
    path = tmp_path / "model.keras"
    save_backbone(one, path)
    opened = load_backbone(path)
    assert probabilities(opened, faces()) == pytest.approx(probabilities(one, faces()), abs=1e-6)
    assert (opened.input, opened.labels) == (GRAY3, LABELS)
    (step,) = opened.lineage
    assert step.name == "vote"
    assert [member["name"] for member in step.config["members"]] == ["net0", "net1", "net2", "net3", "net4"]


def test_one_network_converts_like_any_other(one: Backbone, tmp_path: Path):
    from edgefer.formats.export import check_export, export_backbone

    for mode in ("raw", "float"):
        export = export_backbone(one, mode, tmp_path / mode)
        check_export(export, faces(), probabilities(one, faces()))


def test_an_adapted_normalization_does_in_one_network_what_it_did_in_a_member():
    members = []
    for seed in range(2):
        base, front = made(GRAY3, seed), keras.layers.Normalization(name="front")
        front.adapt(np.random.default_rng(seed).normal(0.5, 0.3, (64, 24, 24, 3)))
        image = keras.Input((24, 24, 3))
        members.append(replace(base, model=keras.Model(image, base.model(front(image)))))
    alone = [probabilities(member, faces()) for member in members]
    found = probabilities(joined(Ensemble(tuple(members)), GRAY3, "normal"), faces())
    assert found == pytest.approx(np.mean(alone, axis=0), abs=1e-6)


def test_gray_and_colour_do_not_join():
    colour = InputSpec(height=24, width=24, channels=3, color="rgb", range=(-1.0, 1.0))
    with pytest.raises(InputError, match="net1 takes rgb images, the ensemble gray ones"):
        joined(Ensemble((made(GRAY3, 0), made(colour, 1))), GRAY3, "both")


def test_bgr_members_of_an_rgb_vote_get_their_channels_in_order():
    specs = [InputSpec(height=24, width=24, channels=3, color=c, range=(-1.0, 1.0)) for c in ("rgb", "bgr")]
    mixed = Ensemble((made(specs[0], 4), made(specs[1], 5)))
    pixels = np.random.default_rng(1).integers(0, 256, (6, 24, 24, 3), dtype=np.uint8)
    found = probabilities(joined(mixed, specs[0], "mixed"), pixels)
    assert found == pytest.approx(mixed.probabilities(lambda _: pixels), abs=1e-5)


RECIPE = EnsembleRecipe(
    id="pair",
    title="Two tiny networks",
    source=Source(document="none"),
    data=DataPart(labels="ferplus-9"),
    input=InputSpec(height=32, width=32, channels=3, color="gray", range=(0.0, 1.0)),
    members=(
        Member(recipe="s0-mobilenetv2", set=(*TINY, "seed=1")),
        Member(
            recipe="s0-mobilenetv2",
            set=(*TINY, "input={height=16, width=16, channels=1, range=[0.0, 1.0]}", "training.batch_size=8"),
        ),
    ),
)


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: {"tiny": TINY_FAMILY})


def load(spec: InputSpec) -> Dataset:
    """The tiny set at a member's size."""
    whole = tiny_dataset()
    step = 32 // spec.height
    splits = {
        name: Subset(one.pixels[:, ::step, ::step], one.labels, one.soft, one.leaked)
        for name, one in whole.splits.items()
    }
    return Dataset(whole.name, whole.labels, splits)


def test_an_ensemble_trains_its_members_and_leaves_one_network(tmp_path: Path):
    said: list[str] = []
    done = train_ensemble(RECIPE, load, tmp_path, hooks=Hooks(note=said.append))
    record = json.loads((tmp_path / "train.json").read_text())
    folders = ["1-s0-mobilenetv2", "2-s0-mobilenetv2"]
    assert [member["folder"] for member in record["members"]] == folders
    for folder in folders:
        assert (tmp_path / folder / "train.json").exists()
        assert f"{folder}: training" in said
    assert record["best_member"] in folders
    test = load(RECIPE.input).split("test")
    opened = load_backbone(tmp_path / "model.keras")
    right = probabilities(opened, test.pixels).argmax(axis=1) == test.labels
    assert record["test"]["accuracy"] == pytest.approx(right.mean())
    assert record["parameters"] == done.backbone.model.count_params()
    assert 0 <= record["p"] <= 1


def test_a_stopped_ensemble_keeps_its_finished_members(tmp_path: Path):
    def stop_at_second(_done: float, _total: float, remark: str) -> None:
        if remark.startswith("member 2/2 epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(RECIPE, load, tmp_path, hooks=Hooks(step=stop_at_second))
    first, second = tmp_path / "1-s0-mobilenetv2", tmp_path / "2-s0-mobilenetv2"
    before = (first / "model.keras").stat().st_mtime_ns
    assert (second / "state.json").exists()
    with pytest.raises(InputError, match="add --resume"):
        train_ensemble(RECIPE, load, tmp_path)
    for file in (tmp_path / "request.json", first / "train.json"):
        forget_votes(file)
    done = train_ensemble(RECIPE, load, tmp_path, resume=True)
    assert (first / "model.keras").stat().st_mtime_ns == before
    assert [member.epochs for member in done.record.members] == [2, 2]
    with pytest.raises(InputError, match="is finished: nothing to resume"):
        train_ensemble(RECIPE, load, tmp_path, resume=True)


def forget_votes(file: Path) -> None:
    """Make a request, or a record with one, as it was before votes were written down."""
    content = json.loads(file.read_text())
    del content.get("request", content)["data"]["votes_sha256"]
    file.write_text(json.dumps(content))


def test_a_finished_member_that_learned_from_other_votes_is_refused(tmp_path: Path):
    def stop_at_second(_done: float, _total: float, remark: str) -> None:
        if remark.startswith("member 2/2"):
            raise KeyboardInterrupt

    def voted(spec: InputSpec) -> Dataset:
        data = load(spec)
        train = data.split("train")
        votes = np.float32(0.9) * train.soft + np.float32(0.1 / 9)
        return replace(data, splits={**data.splits, "train": replace(train, soft=votes)})

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(RECIPE, load, tmp_path, hooks=Hooks(step=stop_at_second))
    with pytest.raises(InputError, match="was begun with other settings or data"):
        train_ensemble(RECIPE, voted, tmp_path, resume=True)
    forget_votes(tmp_path / "request.json")
    with pytest.raises(InputError, match="1-s0-mobilenetv2 was trained with other settings or data"):
        train_ensemble(RECIPE, voted, tmp_path, resume=True)


def test_a_finished_member_whose_start_has_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop_at_second(_done: float, _total: float, remark: str) -> None:
        if remark.startswith("member 2/2"):
            raise KeyboardInterrupt

    families = {"tiny": TINY_FAMILY, **discover("edgefer.backbones.families", "FAMILIES")}
    monkeypatch.setattr("edgefer.training.network.discover", lambda *_: families)
    start, out = tmp_path / "start.keras", tmp_path / "out"
    build_tiny((32, 32, 3), 9, None, {}).save(start)
    further = Member(
        recipe="s0-mobilenetv2", set=(*TINY, f"backbone={{family='file', weights='{start}', options={{}}}}")
    )
    recipe = msgspec.structs.replace(RECIPE, members=(further, RECIPE.members[1]))
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(recipe, load, out, hooks=Hooks(step=stop_at_second))
    build_tiny((32, 32, 3), 9, None, {}).save(start)
    with pytest.raises(InputError, match=r"1-s0-mobilenetv2 was trained with another .*start\.keras;"):
        train_ensemble(recipe, load, out, resume=True)
    record = out / "1-s0-mobilenetv2" / "train.json"
    content = json.loads(record.read_text())
    del content["request"]["models"]  # of a time when records did not have them
    record.write_text(json.dumps(content))
    assert len(train_ensemble(recipe, load, out, resume=True).record.members) == 2


def test_resuming_with_other_settings_is_refused(tmp_path: Path):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(RECIPE, load, tmp_path, hooks=Hooks(step=stop))
    with pytest.raises(InputError, match="was begun with other settings"):
        train_ensemble(RECIPE, load, tmp_path, resume=True, member_overrides=("training.epochs=3",))


def test_a_bad_member_is_found_before_anything_is_trained(tmp_path: Path):
    bad = Member(recipe="s0-mobilenetv2", set=("training.epoch=1",))
    recipe = msgspec.structs.replace(RECIPE, members=(RECIPE.members[0], bad))
    with pytest.raises(InputError, match=r"unknown key 'training.epoch'"):
        train_ensemble(recipe, load, tmp_path / "out")
    assert not (tmp_path / "out").exists()
