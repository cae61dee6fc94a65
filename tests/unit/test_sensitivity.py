"""Which layers suffer most from int8, and the command that ranks them."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tests.unit.quantizable import mobile_network, noise

keras = pytest.importorskip("keras")


def test_divergence_is_zero_for_equal_answers_and_grows_with_distance():
    from edgefer.metrics import divergence

    exact = np.float32([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    assert divergence(exact, exact) == 0
    near, far = np.float32([[0.69, 0.21, 0.1], [0.1, 0.1, 0.8]]), exact[::-1]
    assert 0 < divergence(exact, near) < 0.001 < divergence(exact, far)
    # Two classes, all mass on the wrong one of either: log of 511, nearly.
    sure = np.float32([[1, 0]])
    assert divergence(sure, sure[:, ::-1]) == pytest.approx(np.log(512), rel=0.02)


@pytest.fixture(scope="module")
def ruined():
    """A layer with one weight so large that int8 leaves nothing of the others of its channel."""
    model = mobile_network()
    layer = model.get_layer("project_1")
    kernel = np.array(layer.kernel)
    kernel[0, 0, 0, :] = 0
    model.get_layer("depth_1").kernel.assign(
        np.asarray(model.get_layer("depth_1").kernel) * (np.arange(16) > 0)[:, None]
    )
    kernel[0, 0, 0, :] = 300.0
    layer.kernel.assign(kernel)
    _still(model, channel=0)
    return model


def _still(model, channel):
    """Let the depthwise channel before give 0, so that the large weight does nothing but spoil the scale."""
    norm = next(
        after
        for before, after in zip(model.layers, model.layers[1:], strict=False)
        if before.name == "depth_1"
    )
    norm.beta.assign(np.where(np.arange(16) == channel, -9.0, np.asarray(norm.beta)))
    norm.moving_mean.assign(np.where(np.arange(16) == channel, 0.0, np.asarray(norm.moving_mean)))


def test_a_layer_with_a_spoilt_scale_is_ranked_first(ruined):
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph
    from edgefer.compression.sensitivity import ALL, ranked
    from edgefer.spec import LabelSet

    floats = noise(64)
    labels = np.asarray(ruined(floats)).argmax(axis=1)
    simulation = simulate(inference_graph(ruined), floats)
    steps = []
    names = LabelSet(source="three", names=("a", "b", "c"))
    found = ranked(simulation, floats, labels, names, lambda *step: steps.append(step))
    assert [found[0].layer, found[1].layer] == [ALL, "project_1"]
    assert {one.layer for one in found} == {ALL, *simulation.names}
    errors = [one.error for one in found[1:]]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 3 * errors[1]
    # The labels are the float network's answers: what changes is what is lost.
    assert found[1].f1_drop > 0
    assert found[1].changed > 0
    assert found[1].weights == 16 * 8
    assert steps[-1][0] == steps[-1][1] == len(found)


def test_nothing_stays_switched_on(ruined):
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph
    from edgefer.compression.sensitivity import ranked
    from edgefer.spec import LabelSet

    simulation = simulate(inference_graph(ruined), noise(8))
    before = simulation.outputs(noise(8))
    ranked(simulation, noise(8), np.arange(8) % 3, LabelSet(source="three", names=("a", "b", "c")))
    assert np.array_equal(simulation.outputs(noise(8)), before)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    from edgefer.backbones.base import Backbone
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.spec import InputSpec

    spec = InputSpec(height=12, width=12, channels=3, range=(-1.0, 1.0))
    path = tmp_path_factory.mktemp("model") / "small.keras"
    save_backbone(Backbone(mobile_network(classes=9), spec, LABEL_SETS["ferplus-9"], (), "small", ""), path)
    return path


def ran(*arguments):
    from edgefer.cli.main import cli

    return CliRunner().invoke(cli, ["sensitivity", *map(str, arguments)])


def test_the_command_prints_json_and_draws(file, tmp_path):
    plot = tmp_path / "bars.svg"
    done = ran(file, "--data", "synthetic", "--rows", "20", "--calibration", "10", "--json", "--plot", plot)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found[0]["layer"] == "(all layers)"
    assert {"layer", "weights", "error", "f1_drop", "changed", "part"} == set(found[1])
    assert "project_1" in plot.read_text()


def test_the_command_prints_a_table(file):
    done = ran(file, "--data", "synthetic", "--rows", "20", "--calibration", "10")
    assert done.exit_code == 0, done.output
    assert "expand_0" in done.stdout
    assert "(all layers)" in done.stdout


def test_what_cannot_be_named_for_keep_float_is_marked_as_part_of_a_layer(tmp_path):
    from edgefer.backbones.base import Backbone
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.errors import InputError
    from edgefer.formats.keeping import float_layers
    from edgefer.spec import InputSpec

    image = keras.Input((12, 12, 3))
    value = keras.layers.SeparableConv2D(4, 3, activation="silu", name="sep")(image)
    value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    model = keras.Model(image, keras.layers.Dense(9, activation="softmax", name="dense")(value))
    spec = InputSpec(height=12, width=12, channels=3, range=(-1.0, 1.0))
    save_backbone(Backbone(model, spec, LABEL_SETS["ferplus-9"], (), "", ""), tmp_path / "parts.keras")
    words = (tmp_path / "parts.keras", "--data", "synthetic", "--rows", "20", "--calibration", "10")
    found = {one["layer"]: one["part"] for one in json.loads(ran(*words, "--json").stdout)}
    parts = {"sep_depthwise", "sep_silu", "dense_softmax"}
    assert found == dict.fromkeys(parts, True) | dict.fromkeys(
        ("(all layers)", "sep", "pool", "dense"), False
    )
    for part in parts:
        with pytest.raises(InputError, match="no layer matches"):
            float_layers(model, [part])
    assert "--keep-float takes that layer's name" in ran(*words).output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "synthetic", "--plot", "bars.doc"), "not a file type"),
        (("--data", "synthetic", "--rows", "-1"), "must not be negative"),
        ((), "labelled faces"),
    ],
)
def test_wrong_use_is_an_input_error(file, arguments, words, monkeypatch):
    from edgefer.errors import InputError

    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    done = ran(file, *arguments)
    assert isinstance(done.exception, (InputError, SystemExit))
    assert words in str(done.exception) + done.output


@pytest.fixture
def unmeasured(monkeypatch):
    """A ranking that must not begin."""

    def spent(*_, **__):
        raise AssertionError("minutes were spent")

    monkeypatch.setattr("edgefer.compression.sensitivity.measured", spent)


@pytest.mark.usefixtures("unmeasured")
def test_a_plot_that_cannot_be_written_is_refused_before_the_ranking(file, tmp_path):
    folder = tmp_path / "bars.svg"
    folder.mkdir()
    done = ran(file, "--data", "synthetic", "--plot", folder)
    assert done.exit_code == 2, done.exception
    assert "is a directory" in done.output


@pytest.mark.usefixtures("unmeasured")
def test_a_plot_without_what_draws_it_is_refused_before_the_ranking(file, tmp_path, monkeypatch):
    from edgefer.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = ran(file, "--data", "synthetic", "--plot", tmp_path / "bars.svg")
    assert isinstance(done.exception, MissingExtraError), done.exception


def test_a_plot_that_fails_in_the_end_costs_no_ranking(file, tmp_path, monkeypatch):
    monkeypatch.setattr("edgefer.cli.sensitivity._drawn", lambda *_: 1 / 0)
    plot = tmp_path / "bars.svg"
    done = ran(file, "--data", "synthetic", "--rows", "20", "--calibration", "10", "--plot", plot)
    assert isinstance(done.exception, ZeroDivisionError)
    assert "expand_0" in done.stdout
    assert not plot.exists()
