"""Float layers that choose themselves: a network one layer of which int8 ruins, and what is found out about it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import f1_score

from edgefer.errors import InputError
from tests.unit.quantizable import mobile_network

keras = pytest.importorskip("keras")

SPOILT = "project_1"


@pytest.fixture(scope="module")
def spoilt():
    """A backbone, one layer of which loses all its weights but one to int8, and faces that it is right about."""
    return right_about_faces(_spoil)


@pytest.fixture(scope="module")
def tame():
    """The same with its weights as they were."""
    return right_about_faces(lambda _: None)


def right_about_faces(change):
    """The labels are the float network's own answers: what a file gets wrong, int8 got wrong."""
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec
    from tests.networks import spread

    faces = load("synthetic", None, size=(12, 12))
    spec = InputSpec(height=12, width=12, channels=3, range=(-1.0, 1.0))
    model = spread(mobile_network(classes=9), to_floats(faces.split("train").pixels[:64], spec))
    change(model)
    splits = {name: _answered(model, faces.split(name), spec) for name in ("train", "validation")}
    return Backbone(model, spec, faces.labels, (), "spoilt", ""), replace(faces, splits=splits)


def _spoil(model):
    """One huge weight that multiplies zeros: the sum stays what it is, and the scale of int8 suits it alone."""
    depth, layer = model.get_layer("depth_1"), model.get_layer(SPOILT)
    norm = model.layers[model.layers.index(depth) + 1]
    for values in (norm.gamma, norm.beta):
        values.assign(np.where(np.arange(16) == 0, 0.0, np.asarray(values)))
    kernel = np.array(layer.kernel)
    kernel[0, 0, 0, :] = 3000.0
    layer.kernel.assign(kernel)


def _answered(model, subset, spec):
    from edgefer.preprocessing import to_floats

    some = subset.take(np.arange(min(len(subset), 150)))
    answers = model.predict_on_batch(to_floats(some.pixels, spec)).argmax(axis=1)
    return replace(some, labels=answers.astype(np.int64))


def converted(spoilt, out, formats, **options):
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, dataset = spoilt
    chosen = Options(calibration=40, **options)
    return convert(backbone, choose_formats(formats), dataset, dataset, out, chosen, lambda *_: None)


def budget(points):
    from edgefer.mixing import AccuracyBudget

    return AccuracyBudget(points)


def calibration_of(path):
    from edgefer.artifact import open_artifact

    return open_artifact(path).manifest.lineage[-1].config["calibration"]


def weighted_f1(path, dataset):
    from edgefer.artifact import open_artifact
    from edgefer.runtimes.base import predict
    from edgefer.verification import runtime_for

    artifact, rows = open_artifact(path), dataset.split("validation")
    answers = predict(runtime_for(artifact).open(artifact, 1), rows.pixels)
    return f1_score(rows.labels, answers.argmax(axis=1), average="weighted", zero_division=0)


def test_the_ruined_layer_stays_in_float_and_the_lineage_says_why(spoilt, tmp_path):
    formats = "tflite-int8,onnx-int8,coreml-w8a8,tflite-fp32"
    *files, plain = converted(spoilt, tmp_path, formats, keep_float=budget(20))
    assert (plain.error, plain.mixed) == (None, None)
    for file in files:
        assert file.error is None
        assert file.mixed.layers == (SPOILT,)
        assert [one.count for one in file.mixed.tried] == [0, 1]
        assert (file.mixed.rows, file.mixed.float_weighted_f1) == (150, 1.0)
        ruined, kept = (one.weighted_f1 for one in file.mixed.tried)
        assert ruined < 0.5 < 0.8 <= kept
        assert weighted_f1(file.path, spoilt[1]) == pytest.approx(kept)
        told = calibration_of(file.path)
        assert told["keep_float"] == [SPOILT]
        assert told["keep_float_chosen"] == {
            "tried": [{"count": 0, "weighted_f1": ruined}, {"count": 1, "weighted_f1": kept}],
            "rows": 150,
            "float_weighted_f1": 1.0,
            "max_drop": 20,
        }
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"spoilt-w8a8.mlpackage"}


def test_onnx_runtime_does_not_round_what_was_named_to_stay_in_float(spoilt, tmp_path):
    """It rounds the weights of a lone float convolution after all, unless it is kept from that."""
    (file,) = converted(spoilt, tmp_path, "onnx-int8", keep_float=(SPOILT,))
    assert file.error is None
    assert weighted_f1(file.path, spoilt[1]) > 0.8


def test_where_int8_alone_is_close_enough_no_layer_is_kept(tame, tmp_path):
    (file,) = converted(tame, tmp_path / "auto", "onnx-int8", keep_float=budget(20))
    assert (file.mixed.layers, len(file.mixed.tried)) == ((), 1)
    assert calibration_of(file.path)["keep_float"] == []
    (plain,) = converted(tame, tmp_path / "plain", "onnx-int8")
    assert weighted_f1(file.path, tame[1]) == weighted_f1(plain.path, tame[1])


def test_where_no_number_of_layers_helps_the_nearest_is_named_and_nothing_written(spoilt, tmp_path):
    # The labels are the float network's answers, and some of them are close calls: no rounded network has them all.
    (file,) = converted(spoilt, tmp_path, "tflite-int8", keep_float=budget(0))
    assert (file.path, file.good, file.error.exit_code) == (None, False, 3)
    for words in (
        "with 0, 1, 2, 4 layers",
        "more than 0 points",
        "150 validation rows",
        "nearest, with 4 layers",
        "--stage qat",
    ):
        assert words in str(file.error)
    assert list(tmp_path.iterdir()) == []


def test_the_calibration_method_is_chosen_before_the_layers(spoilt, tmp_path):
    (file,) = converted(spoilt, tmp_path, "tflite-int8", keep_float=budget(20), method="best")
    told = calibration_of(file.path)
    assert min(told["divergence_nats"], key=told["divergence_nats"].get) == told["method"]
    assert told["keep_float"] == [SPOILT]
    (same,) = converted(
        spoilt, tmp_path / "by-hand", "tflite-int8", keep_float=(SPOILT,), method=told["method"]
    )
    assert weighted_f1(file.path, spoilt[1]) == weighted_f1(same.path, spoilt[1])


@pytest.mark.parametrize(
    ("formats", "without", "words"),
    [
        ("tflite-int8", "validation", "has no validation rows, by which the layers that stay in float"),
        ("tflite-int8", "data", "chosen on labelled faces; give --data"),
        ("tflite-int8", "layers", "a SavedModel has no layers to keep in float"),
        ("tflite-fp32,tflite-int16x8", "", "method or float layers; coreml-w8a8, onnx-int8, tflite-int8 do"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_refused_in_one_line(spoilt, tmp_path, formats, without, words):
    from edgefer.pipeline import Options, choose_formats, convert

    backbone, faces = spoilt
    dataset = None if without == "data" else faces
    if without == "validation":
        dataset = replace(faces, splits={"train": faces.split("train")})
    if without == "layers":
        backbone = replace(backbone, trainable=False)
    options, chosen = Options(keep_float=budget(0.5)), choose_formats(formats)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        convert(backbone, chosen, dataset, faces, tmp_path, options, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_run_here_is_said_to(spoilt, tmp_path, monkeypatch):
    from edgefer import mixing

    lacking = SimpleNamespace(missing=lambda: "onnxruntime is not installed")
    monkeypatch.setattr(mixing, "runtime_for", lambda _: lacking)
    (file,) = converted(spoilt, tmp_path, "onnx-int8", keep_float=budget(10))
    assert str(file.error).startswith("no layers can be chosen where the file cannot run: onnxruntime")
    assert file.error.exit_code == 4


@pytest.mark.parametrize("points", [-1, 101, float("nan")])
def test_a_budget_is_a_number_of_points(points):
    with pytest.raises(InputError, match="none that F1 can have"):
        budget(points)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-drop", "1"), "--max-drop bounds what --keep-float auto chooses"),
        (("--keep-float", "auto,project_1"), "auto chooses all layers itself"),
        (("--keep-float", "auto", "--max-drop", "-1"), "--max-drop"),
    ],
)
def test_wrong_use_is_a_usage_error(options, words, tmp_path):
    from edgefer.cli.main import cli

    ran = CliRunner().invoke(cli, ["convert", str(tmp_path / "no.keras"), "--to", "tflite-int8", *options])
    assert ran.exit_code == 2
    assert words in ran.output
