"""Cross-layer equalization changes weights and not answers."""

import numpy as np
import pytest

from tests.unit.quantizable import mobile_network, noise, separable_network, stage_run

keras = pytest.importorskip("keras")


def equalized(model, floats):
    from edgefer.compression.equalization import equalize
    from edgefer.compression.inference_graph import inference_graph

    network = inference_graph(model)
    return network, equalize(network, floats)


@pytest.mark.parametrize("build", [mobile_network, separable_network])
def test_answers_stay_on_any_input_where_nothing_caps(build):
    model = build()
    network, done = equalized(model, noise(16))
    assert done.pairs > 2
    assert done.rescaled > 0.5
    # Ten times the images' range, and still float32 rounding, of sums whose terms were rescaled by up to 100.
    far = noise(16, seed=9) * (10 if build is mobile_network else 1)
    np.testing.assert_allclose(network(far), model(far), atol=1e-4)


def test_a_capped_channel_takes_part_as_far_as_data_leave_room():
    model = mobile_network(cap=6.0)
    floats = noise(64)
    network, done = equalized(model, floats)
    assert 0 < done.rescaled < 1  # channels that reach 6 stay
    np.testing.assert_allclose(network(floats), model(floats), atol=1e-4)
    caps = [layer for layer in network.layers if isinstance(layer, keras.layers.ReLU)]
    assert all(layer.max_value == 6 for layer in caps)


@pytest.mark.parametrize("width", [4, 6])
def test_one_cap_in_two_places_leaves_each_the_room_that_it_has(width):
    layers = keras.layers
    keras.utils.set_random_seed(7)
    cap = layers.ReLU(6.0)
    image = keras.Input((12, 12, 3))
    value = cap(layers.Conv2D(4, 3, name="low")(image))
    value = cap(layers.Conv2D(width, 3, name="high")(value))
    value = layers.GlobalAveragePooling2D()(value)
    model = keras.Model(image, layers.Dense(3, activation="softmax")(value))
    # What the second call makes is near 6, by its bias, and its small weights ask for a larger output still.
    low, high = model.get_layer("low"), model.get_layer("high")
    low.kernel.assign(low.kernel * 0.3)
    high.kernel.assign(high.kernel * 0.1)
    high.bias.assign(high.bias + 5.5)
    network, done = equalized(model, noise(16))
    assert done.pairs == 2
    np.testing.assert_allclose(network(noise(16)), model(noise(16)), atol=1e-4)


def test_a_cap_called_as_an_operation_is_one():
    from edgefer.compression.equalization import find_pairs

    keras.utils.set_random_seed(7)
    image = keras.Input((12, 12, 3))
    value = keras.ops.relu6(keras.layers.Conv2D(4, 3, name="first")(image))
    value = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="second")(value))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(value))
    model.get_layer("first").bias.assign([5.5, 0.0, 0.0, 0.0])
    network, _ = equalized(model, noise(16))
    assert next(pair.cap for pair in find_pairs(network) if pair.first.name == "first") is not None
    np.testing.assert_allclose(network(noise(16)), model(noise(16)), atol=1e-4)


def test_ranges_of_a_pair_agree_afterwards():
    from edgefer.compression.equalization import find_pairs

    network, _ = equalized(mobile_network(), noise(16))
    pair = next(pair for pair in find_pairs(network) if pair.first.name == "depth_1")
    made = np.abs(np.asarray(pair.first.kernel)).max(axis=(0, 1)).reshape(-1)
    read = np.abs(np.asarray(pair.second.kernel)).max(axis=(0, 1, 3))
    # Rounds end when no factor differs from 1 by a thousandth, so the two ranges by two.
    np.testing.assert_allclose(made / read, 1, atol=5e-3)


def test_pairs_end_at_branches_and_other_operations():
    from edgefer.compression.equalization import find_pairs
    from edgefer.compression.inference_graph import inference_graph

    pairs = find_pairs(inference_graph(separable_network()))
    # The first convolution feeds a sum too; swish and sums pass no factor.
    assert "conv2d" not in {pair.first.name for pair in pairs}
    # In the body 2; into, within and between the separable ones 4; the two dense layers 1.
    assert len(pairs) == 7


def test_uneven_channels_lose_less_to_per_tensor_rounding():
    """What the paper shows: one scale a tensor ruins uneven channels; equalized ones it does not."""
    from edgefer.compression.equalization import equalize
    from edgefer.compression.inference_graph import inference_graph

    model = mobile_network()
    uneven, evened = inference_graph(model), inference_graph(model)
    for network in (uneven, evened):
        tilt(network)
    equalize(evened, noise(16))
    # A channel a thousand times smaller than another has no codes at all of 8 bits.
    assert per_tensor_error(model, evened) < per_tensor_error(model, uneven) / 4


def tilt(network):
    """Factors of up to a thousand between channels, with the same answers."""
    factors = np.logspace(-1.5, 1.5, 16).astype(np.float32)
    for number in range(2):
        depth, project = network.get_layer(f"depth_{number}"), network.get_layer(f"project_{number}")
        depth.kernel.assign(np.asarray(depth.kernel) * factors[:, None])
        depth.bias.assign(np.asarray(depth.bias) * factors)
        project.kernel.assign(np.asarray(project.kernel) / factors[:, None])


def per_tensor_error(model, network):
    from edgefer.compression.inference_graph import has_kernel
    from edgefer.quantization import rounded_weights

    for layer in network.layers:
        if has_kernel(layer):
            layer.kernel.assign(rounded_weights(np.asarray(layer.kernel), ()))
    return np.abs(np.asarray(network(noise(32))) - np.asarray(model(noise(32)))).mean()


def test_the_stage_leaves_the_given_network_alone_and_says_what_it_did(tmp_path):
    from edgefer.backbones.storage import save_backbone
    from edgefer.compression.stages.equalize import STAGES

    model = mobile_network(classes=9)
    before = [np.array(weight) for weight in model.get_weights()]
    (stage,) = STAGES
    result, backbone = stage_run(stage, model, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert result.backbone.model is not backbone.model
    # Seven layers in a row, each the only reader of the one before.
    assert result.findings["pairs"] == 6
    assert result.findings["int8_error"] >= 0
    saved = save_backbone(result.backbone, tmp_path / "after.keras").model
    kept = keras.models.load_model(tmp_path / "after.keras")
    assert np.array_equal(kept(noise(8)), saved(noise(8)))
    assert result.findings["int8_error_before"] > 0
    # The images' own range is where answers agree; elsewhere a ReLU6 might differ.
    np.testing.assert_allclose(result.backbone.model(noise(8)), model(noise(8)), atol=1e-4)
