"""``edgefer evaluate``: mostly within this process, for each start of TensorFlow takes seconds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.backbones.loading import load_backbone
from edgefer.cli.main import cli
from edgefer.datasets.base import Split
from edgefer.datasets.fingerprints import sample
from edgefer.datasets.loading import load
from edgefer.errors import InputError
from edgefer.preprocessing import to_floats
from tests.e2e.conftest import SIZE, edgefer

SIDECAR = {
    "input": {"height": SIZE, "width": SIZE, "channels": 1, "range": [0.0, 1.0]},
    "labels": {
        "source": "ferplus-9",
        "names": [
            "neutral",
            "happiness",
            "surprise",
            "sadness",
            "anger",
            "disgust",
            "fear",
            "contempt",
            "unknown",
        ],
    },
}


def evaluated(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


def printed(*arguments: object) -> str:
    ran = evaluated(*arguments)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def right_share(model: Path, *, clean: bool) -> float:
    """Accuracy on the synthetic test split, by Keras alone."""
    backbone = load_backbone(model)
    test = load("synthetic", None, size=(SIZE, SIZE)).split("test")
    answers = np.asarray(backbone.model(to_floats(test.pixels, backbone.input)))
    right = answers.argmax(axis=1) == test.labels
    return float(right[~test.leaked].mean() if clean else right.mean())


def test_one_model_in_tables_with_and_without_leaked_rows(model: Path):
    out = printed(model, "--data", "synthetic")
    assert "small on synthetic (synthetic), test" in out
    figures = re.search(r"accuracy\W+([\d.]+)\W+([\d.]+)", out)
    assert figures
    assert float(figures[1]) == pytest.approx(right_share(model, clean=False), abs=1e-4)
    assert float(figures[2]) == pytest.approx(right_share(model, clean=True), abs=1e-4)
    for words in ("without leaked rows", "macro recall", "ECE, 15 bins", "contempt", "Confusion, all rows"):
        assert words in out
    assert "Gains" not in out


def test_json_and_the_written_record_are_one(model: Path, tmp_path: Path):
    out = tmp_path / "records" / "small.json"
    ran = edgefer("evaluate", model, "--data", "synthetic", "--tta", "flip", "--json", "--out", out)
    assert ran.code == 0, ran.err
    assert json.loads(out.read_text()) == ran.json
    plain, flipped = ran.json["judged"]
    assert (plain["tta"], flipped["tta"]) == ("none", "flip")
    assert plain["full"]["score"]["n"] > plain["clean"]["score"]["n"]
    (gain,) = ran.json["gains"]
    assert (gain["name"], gain["over"]) == ("small, flip", "small")
    assert ran.json["data"] == {"name": "synthetic", "split": "test", "synthetic": True, "rows": 450}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A Keras 2 .h5 and a SavedModel of one network with other channels and range, each with a sidecar."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(2)
    layers = tf_keras.layers
    body = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    network = tf_keras.Sequential([tf_keras.Input((SIZE, SIZE, 1)), *body, layers.Dense(9, "softmax")])
    folder = tmp_path_factory.mktemp("foreign")
    with pytest.warns(UserWarning, match="HDF5"):
        network.save(folder / "old.h5")
    tf.saved_model.save(network, str(folder / "saved"))
    (folder / "old.edgefer.json").write_text(json.dumps(SIDECAR))
    (folder / "saved" / "edgefer.json").write_text(json.dumps(SIDECAR))
    return [folder / "old.h5", folder / "saved"]


def test_models_of_three_kinds_vote(model: Path, foreign: list[Path]):
    done = json.loads(printed(model, *foreign, "--data", "synthetic", "--json"))
    assert [judged["name"] for judged in done["judged"]] == ["small", "old", "saved", "vote"]
    small, old, saved, _ = (judged["full"]["score"] for judged in done["judged"])
    assert old["confusion"] == saved["confusion"] != small["confusion"]
    (gain,) = done["gains"]
    best = max(done["judged"][:-1], key=lambda judged: judged["full"]["score"]["accuracy"])
    assert (gain["name"], gain["over"]) == ("vote", best["name"])


def test_files_of_one_name_are_told_apart(model: Path, tmp_path: Path):
    other = tmp_path / model.name
    other.write_bytes(model.read_bytes())
    (tmp_path / "small.edgefer.json").write_bytes(model.with_name("small.edgefer.json").read_bytes())
    done = json.loads(printed(model, other, "--data", "synthetic", "--json"))
    assert [judged["name"] for judged in done["judged"]] == [str(model), str(other), "vote"]


def test_a_set_held_against_the_one_trained_on_says_what_moved(model: Path):
    out = printed(model, "--data", "synthetic", "--split", "all", "--reference", "synthetic")
    for words in ("Class shares", "by EM", "p (Holm)", "label shift alone explains", "McNemar p"):
        assert words in out


@pytest.mark.parametrize(
    ("trained", "asked", "note"),
    [
        ("test", (), "most likely on many of these test rows of synthetic"),
        ("test", ("--reference", "synthetic"), ""),
        ("validation", (), ""),
        ("validation", ("--reference", "synthetic"), "many of these validation rows of synthetic"),
    ],
)
def test_rows_that_have_to_be_unseen_are_the_references_where_there_is_one(
    model: Path, trained: Split, asked: tuple[str, ...], note: str, tmp_path: Path
):
    shutil.copy(model, tmp_path / "seen.keras")
    rows = {"synthetic": sample(load("synthetic", None, size=(SIZE, SIZE)).split(trained).prints)}
    step = {"name": "train", "config": {"split": "files", "trained_rows": rows}}
    sidecar = json.loads(model.with_name("small.edgefer.json").read_text()) | {"lineage": [step]}
    (tmp_path / "seen.edgefer.json").write_text(json.dumps(sidecar))
    ran = evaluated(tmp_path / "seen.keras", "--data", "synthetic", *asked)
    assert ran.exit_code == 0, ran.output
    assert note in ran.stderr
    assert ("was trained on rows dealt otherwise" in ran.stderr) == bool(note)


def folders(root: Path, *, swapped: bool) -> None:
    """Two sets of synthetic faces as class folders; the second calls happiness sadness if ``swapped``."""
    from PIL import Image

    faces = load("synthetic", None, size=(SIZE, SIZE)).split("test")
    names = SIDECAR["labels"]["names"]
    other = {"happiness": "sadness", "sadness": "happiness"} if swapped else {}
    for row, (pixels, label) in enumerate(zip(faces.pixels, faces.labels, strict=True)):
        name, place = names[label], "fer2013-folders" if row % 2 else "CK+faces"
        file = root / place / (other.get(name, name) if place == "CK+faces" else name) / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(file)


def test_merged_sets_are_scored_apart(model: Path, tmp_path: Path):
    folders(tmp_path, swapped=True)
    changed = ("data.sets=['fer2013','ck+']", "data.labels=ferplus-9")
    recipe = ("--recipe", "demo", "--set", changed[0], "--set", changed[1])
    asked = (model, "--data", tmp_path, "--split", "all", "--by-set", *recipe)
    done = json.loads(printed(*asked, "--json"))
    assert [one["name"] for one in done["sets"]] == ["fer2013", "ck+"]
    whole = done["judged"][0]["full"]["score"]["n"]
    assert sum(one["score"]["n"] for one in done["sets"]) == whole == done["data"]["rows"]
    shown = printed(*asked)
    assert "Set ck+: " in shown
    assert "check the labels" in shown


def test_a_model_without_a_sidecar_has_the_classes_of_the_recipe(model: Path, tmp_path: Path):
    shutil.copy(model, tmp_path / "bare.keras")
    asked = ("--data", "synthetic", "--recipe", "demo", "--range=-1..1")
    bare = json.loads(printed(tmp_path / "bare.keras", *asked, "--json"))
    said = json.loads(printed(model, "--data", "synthetic", "--recipe", "demo", "--json"))
    assert bare["judged"][0]["full"] == said["judged"][0]["full"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/no/such"], "the data /no/such does not exist"),
        (["--data", "synthetic", "--labels", "fer2013-7"], "has 9 outputs, the label set fer2013-7 has 7"),
        (["--data", "synthetic", "--by-set"], "synthetic is one set"),
        (["--data", "synthetic", "--tta", "flop"], "'flop' is not one of"),
        (["--data", "synthetic", "--set", "data.split=grouped"], "give --recipe"),
        ([], "no data is given"),
    ],
)
def test_bad_input_is_refused_in_words(
    model: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    ran = evaluated(model, *arguments)
    assert ran.exit_code != 0
    assert ran.stdout == ""
    assert message in f"{ran.exception} {ran.stderr}"


def test_a_missing_model_is_one_line_and_exit_2():
    ran = edgefer("evaluate", "nowhere.keras", "--data", "synthetic")
    assert (ran.code, ran.out) == (2, "")
    assert "nowhere.keras: no such file" in ran.error_line


def test_a_range_that_is_stated_is_held_against_the_faces(model: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise InputError("another range is right")

    monkeypatch.setattr("edgefer.evidence.check_range", refuse)
    ran = evaluated(model, "--data", "synthetic", "--range", "0..255")
    assert "another range is right" in str(ran.exception)
    assert evaluated(model, "--data", "synthetic").exit_code == 0  # what its sidecar says is believed
