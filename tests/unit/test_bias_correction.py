"""Bias correction takes back the mean error of rounded weights."""

import numpy as np
import pytest

from tests.unit.quantizable import mobile_network, noise, stage_run

keras = pytest.importorskip("keras")


def test_channel_means_of_the_quantized_network_become_the_exact_ones():
    from edgefer.compression.bias_correction import channel_means, correct_biases
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph

    floats = noise(48)
    simulation = simulate(inference_graph(mobile_network()), floats)
    exact = channel_means(simulation, floats)
    simulation.switch(simulation.names)
    before = gap(channel_means(simulation, floats), exact)
    largest = correct_biases(simulation, floats)
    simulation.switch(simulation.names)
    after = gap(channel_means(simulation, floats), exact)
    assert largest >= before / 2 > 0
    # Each layer was corrected with all before it final: what is left is float32 rounding of the means.
    assert after < 1e-4
    assert after < before / 20


@pytest.mark.parametrize("width", [8, 4])
def test_each_layer_gets_its_own_shift_where_a_relu_runs_after_the_next_layer(width):
    from edgefer.compression.bias_correction import channel_means, correct_biases
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph

    floats = noise(48)
    simulation = simulate(inference_graph(parallel_network(width)), floats)
    assert [unit.name for unit in simulation.weighted] == ["stem", "plain", "curved", "head"]
    exact = channel_means(simulation, floats)
    assert [len(means) for means in exact] == [8, width, 8, 3]
    correct_biases(simulation, floats)
    simulation.switch(simulation.names)
    # As above: float32 rounding of the means is left.
    assert gap(channel_means(simulation, floats), exact) < 1e-4


def parallel_network(width):
    """Two convolutions of one tensor; the one that Keras runs first has its ReLU after the second."""
    layers = keras.layers
    keras.utils.set_random_seed(6)
    image = keras.Input((12, 12, 3))
    value = layers.Conv2D(8, 3, strides=2, activation="relu", name="stem")(image)
    curved = layers.ReLU()(layers.Conv2D(8, 3, padding="same", name="curved")(value))
    plain = layers.Conv2D(width, 1, name="plain")(value)
    value = layers.GlobalAveragePooling2D()(layers.Concatenate()([plain, curved]))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="head")(value))


def gap(means, exact):
    return max(np.abs(a - b).max() for a, b in zip(means, exact, strict=True))


def test_kernels_are_exact_again_and_only_biases_differ():
    from edgefer.compression.bias_correction import correct_biases
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph

    network, untouched = inference_graph(mobile_network()), inference_graph(mobile_network())
    correct_biases(simulate(network, noise(16)), noise(16))
    for layer, other in zip(network.layers, untouched.layers, strict=True):
        for weight, same in zip(layer.weights, other.weights, strict=True):
            equal = np.array_equal(np.asarray(weight), np.asarray(same))
            assert equal or weight.name == "bias"


def test_means_weigh_a_short_last_batch_by_its_rows():
    from edgefer.compression.bias_correction import channel_means
    from edgefer.compression.fake_quant import BATCH, simulate
    from edgefer.compression.inference_graph import inference_graph

    model = mobile_network()
    floats = np.concatenate([noise(BATCH), np.full((1, 12, 12, 3), 50, np.float32)])
    simulation = simulate(inference_graph(model), floats)
    sums = keras.Model(model.inputs[0], model.get_layer("head").input)(floats)
    head = model.get_layer("head")
    expected = np.asarray(sums @ head.kernel + head.bias).mean(axis=0)
    np.testing.assert_allclose(channel_means(simulation, floats)[-1], expected, rtol=1e-4, atol=1e-4)


def test_the_stage_leaves_the_given_network_alone_and_says_what_it_did(tmp_path):
    from edgefer.backbones.storage import save_backbone
    from edgefer.compression.stages.bias_correct import STAGES

    model = mobile_network(classes=9)
    before = [np.array(weight) for weight in model.get_weights()]
    (stage,) = STAGES
    result, backbone = stage_run(stage, model, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert result.backbone.model is not backbone.model
    assert result.findings["largest_change"] > 0
    assert result.findings["int8_error"] >= 0
    saved = save_backbone(result.backbone, tmp_path / "after.keras").model
    kept = keras.models.load_model(tmp_path / "after.keras")
    assert np.array_equal(kept(noise(8)), saved(noise(8)))
    assert result.findings["int8_error_before"] > 0
    # Float answers move by the size of int8's own error, no more.
    moved = np.abs(np.asarray(result.backbone.model(noise(8))) - np.asarray(model(noise(8)))).max()
    assert 0 < moved < 0.05
