"""Stages see the network that is converted: of parallel branches there is one convolution, and that is worked on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning_samples import backbone_of, branched, images, inverted_residual, seeded, tuning, workshop

from edgefer.compression.branches import REMARK, as_converted

# Convolutions that the branches become bear the names of their sums.
SUMS = {"stem_sum", "depthwise_sum", "pointwise_sum"}
needs_toolkit = pytest.mark.skipif(
    find_spec("tensorflow_model_optimization") is None,
    reason="tensorflow-model-optimization is not installed",
)


@pytest.fixture
def network() -> Any:
    return seeded(branched)


def answers(model: Any) -> Any:
    return np.asarray(model(images(), training=False))


def kinds(model: Any) -> dict[str, str]:
    return {layer.name: type(layer).__name__ for layer in model.layers}


def test_merging_changes_no_answer_and_is_told(network: Any, tmp_path: Path):
    notes: list[str] = []
    backbone = backbone_of(network)
    done = as_converted(backbone, workshop(tmp_path, note=notes.append))
    # Sums of a few dozen float32 products in another order.
    np.testing.assert_allclose(answers(done.model), answers(network), atol=1e-5)
    assert {name for name, kind in kinds(done.model).items() if kind.endswith("Conv2D")} >= SUMS
    assert "Add" not in kinds(done.model).values()
    assert notes == [REMARK]


def test_a_network_without_branches_stays_the_same_object_and_nothing_is_said(tmp_path: Path):
    backbone, notes = backbone_of(seeded(inverted_residual)), []
    assert as_converted(backbone, workshop(tmp_path, note=notes.append)) is backbone
    assert not notes


def test_two_layers_of_one_name_are_no_branches(tmp_path: Path):
    from keras import Input, Model, layers

    inner = Input((32, 32, 3))
    body = Model(inner, layers.Conv2D(4, 3, name="twin")(inner))
    image = Input((32, 32, 3))
    backbone = backbone_of(Model(image, layers.Conv2D(4, 3, name="twin")(body(image))))
    assert as_converted(backbone, workshop(tmp_path)) is backbone


def test_the_inference_graph_is_that_of_the_merged_network(network: Any):
    from edgefer.compression.inference_graph import inference_graph

    whole = inference_graph(network)
    np.testing.assert_allclose(answers(whole), answers(network), atol=1e-5)
    assert {name for name, kind in kinds(whole).items() if kind.endswith("Conv2D")} == SUMS


def test_layers_that_sensitivity_names_can_be_kept_in_float(network: Any, tmp_path: Path):
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph
    from edgefer.formats.base import Calibration
    from edgefer.formats.export import export_backbone
    from edgefer.formats.keeping import float_layers
    from edgefer.pipeline import choose_formats

    backbone = backbone_of(network)
    names = [unit.name for unit in simulate(inference_graph(network), images()).weighted]
    assert set(names) == {*SUMS, "probabilities"}
    (form,) = choose_formats("tflite-int8")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, backbone.input.pixel_channels), np.uint8)
    calibration = Calibration(pixels, {}, keep_float=float_layers(network, names))
    # Each name is a pattern, and one without an operation of its own in the file is an error.
    form.export(export_backbone(backbone, "raw", tmp_path), calibration, "uint8")


def test_channels_meet_a_budget_in_the_macs_of_the_converted_network(network: Any, tmp_path: Path):
    from edgefer.backbones.merging import converted_cost
    from edgefer.compression.stages.channels import Options, run

    budget = Options(macs=0.5, importance="weight", multiple=1)
    result = run(backbone_of(network), budget, workshop(tmp_path))
    whole, cut = converted_cost(network), converted_cost(result.backbone.model)
    assert cut.macs <= 0.5 * whole.macs
    assert result.findings["macs"] == [whole.macs, cut.macs]
    # An identity ties the channels before and after a block only as long as it is a branch.
    assert [group["layers"] for group in result.findings["groups"]] == [["stem_sum"], ["pointwise_sum"]]


@needs_toolkit
def test_zeros_are_still_there_in_the_converted_network(network: Any, tmp_path: Path):
    from edgefer.backbones.merging import merged
    from edgefer.compression.stages.magnitude import Options, run

    before = answers(network)
    result = run(backbone_of(network), Options(tuning=tuning(1), sparsity=0.75), workshop(tmp_path))
    whole = merged(result.backbone.model)
    for name in ("stem_sum", "pointwise_sum"):
        kernel = np.asarray(whole.get_layer(name).kernel)
        # The number of weights that stay is rounded to a whole one.
        assert np.sum(kernel == 0) == pytest.approx(0.75 * kernel.size, abs=1), name
    assert np.array_equal(answers(network), before)


@needs_toolkit
def test_what_is_trained_to_be_rounded_is_the_converted_network(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from edgefer.compression.stages import qat

    rounded: list[set[str]] = []

    def imitating(model: Any) -> Any:
        rounded.append({layer.name for layer in model.layers})
        return imitating_int8(model)

    imitating_int8 = qat.imitating_int8
    monkeypatch.setattr(qat, "imitating_int8", imitating)
    backbone = backbone_of(network)
    result = qat.run(backbone, qat.Options(tuning=tuning(3)), workshop(tmp_path))
    ((names,),) = (rounded,)
    assert names >= SUMS
    assert not any("norm" in name for name in names)
    # Noise of two brightnesses is learned in three epochs, from a network that knows nothing.
    assert result.findings["kept"]
    assert set(kinds(result.backbone.model)) == names
