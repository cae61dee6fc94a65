"""A pruned network does what the whole one does with those channels zero."""

import channel_samples as samples
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.errors import ConversionError
from tests.networks import spread

keras = pytest.importorskip("keras")

from edgefer.backbones.graph import cost_of  # noqa: E402
from edgefer.compression.channel_budget import Limits, plans  # noqa: E402
from edgefer.compression.channel_costs import Costs  # noqa: E402
from edgefer.compression.channel_groups import channels_of  # noqa: E402
from edgefer.compression.channel_importance import weight_norms  # noqa: E402
from edgefer.compression.channel_rebuild import rebuilt  # noqa: E402

# Probabilities, from float32 sums of at most some hundred products of order 1 that may be added in another order.
CLOSE = 1e-5


def answers(model, floats):
    return np.asarray(model(floats, training=False))


def check(channels, keep, floats):
    """The rebuilt network equals the masked one, and its cost was foretold."""
    narrow = rebuilt(channels, keep)
    expected = answers(samples.masked(channels, keep), floats)
    np.testing.assert_allclose(answers(narrow, floats), expected, atol=CLOSE)
    foretold, found = Costs(channels).of(samples.counts_of(channels, keep)), cost_of(narrow)
    assert (foretold.parameters, foretold.macs) == (found.parameters, found.macs)
    return narrow


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", samples.NETWORKS)
def test_every_layer_kind(name, seed):
    model = samples.NETWORKS[name]()
    channels = channels_of(model)
    keep = samples.random_keep(channels, seed)
    floats = samples.images(model.inputs[0].shape[-1])
    narrow = check(channels, keep, floats)
    removed = not keep.all()
    # The comparison proves something only if zeroing matters.
    whole = answers(model, floats)
    assert (np.abs(answers(narrow, floats) - whole).max() > 1e-3) == removed
    assert (narrow.count_params() < model.count_params()) == removed


def test_a_batch_norm_is_zeroed_with_its_beta_and_flattening_keeps_places():
    """By hand: no part of the dependency graph decides what is expected here."""
    model = samples.flattened()
    channels = channels_of(model)
    conv, hidden = model.get_layer("conv"), model.get_layer("hidden")
    made = next(use.output for use in channels.uses if use.layer is conv)
    keep = np.ones(channels.units, np.bool_)
    keep[channels.unit_of[made[[0, 4]]]] = False
    floats = samples.images()

    flat = answers(keras.Model(model.inputs[0], hidden.input), floats)
    places = flat.copy().reshape(len(floats), -1, 6)
    places[..., [0, 4]] = 0.0
    expected = model.get_layer("probabilities")(hidden(places.reshape(len(floats), -1)))
    narrow = rebuilt(channels, keep)
    np.testing.assert_allclose(answers(narrow, floats), np.asarray(expected), atol=CLOSE)
    assert narrow.get_layer("conv").filters == 4


def test_names_and_order_stay_and_no_weight_is_shared():
    model = samples.residual()
    before = [weight.copy() for weight in model.get_weights()]
    channels = channels_of(model)
    narrow = rebuilt(channels, samples.random_keep(channels, 3))
    assert [layer.name for layer in narrow.layers] == [layer.name for layer in model.layers]
    assert narrow.name == model.name
    narrow.set_weights([weight + 1 for weight in narrow.get_weights()])
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))


def test_of_two_layers_with_one_name_the_second_gets_a_number():
    model = samples.nested("conv")
    channels = channels_of(model)
    narrow = rebuilt(channels, np.ones(channels.units, np.bool_))
    assert [layer.name for layer in narrow.layers if layer.weights] == ["conv", "conv_2", "probabilities"]


def test_the_pruned_network_is_saved_and_opened_like_any_other(tmp_path):
    model = samples.squeeze_excite()
    channels = channels_of(model)
    narrow = rebuilt(channels, samples.random_keep(channels, 4))
    narrow.save(tmp_path / "narrow.keras")
    opened = keras.models.load_model(tmp_path / "narrow.keras")
    floats = samples.images()
    np.testing.assert_array_equal(np.asarray(opened(floats)), np.asarray(narrow(floats)))


def test_settings_of_a_layer_survive():
    model = samples.plain()
    model.get_layer("conv2").trainable = False
    channels = channels_of(model)
    narrow = rebuilt(channels, np.ones(channels.units, np.bool_))
    assert not narrow.get_layer("conv2").trainable
    assert narrow.get_layer("drop").rate == 0.5


def test_a_layer_that_cannot_be_made_again_is_named():
    class Stubborn(keras.layers.Layer):
        def __init__(self, name):
            super().__init__(name=name.lower())

        def call(self, value):
            return value

        def get_config(self):
            return {"unknown": 1}

    image = keras.Input((8, 8, 3))
    value = keras.layers.Conv2D(8, 3)(Stubborn("stubborn")(image))
    value = keras.layers.GlobalAveragePooling2D()(value)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(value))
    channels = channels_of(model)
    with pytest.raises(ConversionError, match="'stubborn'"):
        rebuilt(channels, np.ones(channels.units, np.bool_))


MOVES = ("convolve", "depthwise", "normalise", "activate", "add", "average", "concatenate", "excite")


def _grown(moves):
    """A network of random moves; each takes tensors that are there and adds one, all of one height and width."""
    layers = keras.layers
    image = keras.Input((6, 6, 3), name="image")
    tensors = [layers.Conv2D(5, 3, padding="same")(image)]
    for move, pick, width in moves:
        value, last = tensors[pick % len(tensors)], tensors[-1]
        if move in ("add", "average"):
            same = last if value.shape == last.shape else layers.Conv2D(value.shape[-1], 1)(last)
            value = (layers.Add() if move == "add" else layers.Average())([value, same])
        elif move == "concatenate":
            value = layers.Concatenate()([value, last])
        elif move == "excite":
            gate = layers.Reshape((1, 1, value.shape[-1]))(layers.GlobalAveragePooling2D()(value))
            gate = layers.Conv2D(value.shape[-1], 1, activation="sigmoid")(layers.Conv2D(width, 1)(gate))
            value = layers.Multiply()([value, gate])
        else:
            make = {
                "convolve": lambda width=width: layers.Conv2D(width, 3, padding="same"),
                "depthwise": lambda width=width: layers.DepthwiseConv2D(
                    3, padding="same", depth_multiplier=1 + width % 2
                ),
                "normalise": layers.BatchNormalization,
                "activate": lambda: layers.Activation("silu"),
            }
            value = make[move]()(value)
        tensors.append(value)
    value = layers.GlobalAveragePooling2D()(layers.Concatenate()([tensors[-1], tensors[0]]))
    return samples.shaken(keras.Model(image, layers.Dense(3, activation="softmax")(value)))


@settings(max_examples=25)
@given(
    moves=st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 7), st.integers(1, 6)), max_size=7),
    seed=st.integers(0, 1000),
)
def test_random_graphs(moves, seed):
    channels = channels_of(_grown(moves))
    check(channels, samples.random_keep(channels, seed), samples.images(size=6))


@pytest.mark.parametrize("family", ["mobilenetv2", "efficientnetv2b0", "resnet50v2", "vgg16"])
def test_real_families_at_half_the_macs(family):
    from edgefer.registry import discover, lookup

    build = lookup("family", family, discover("edgefer.backbones.families", "FAMILIES")).build
    model = build((48, 48, 3), 9, None, {})
    floats = samples.images(rows=4, size=48)
    spread(model, floats)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
    channels = channels_of(model)
    costs = Costs(channels)
    keep = plans(channels, costs, weight_norms(channels), Limits(), "macs").within("macs", 0.5)
    narrow = rebuilt(channels, keep)
    assert 0.47 < cost_of(narrow).macs / costs.full.macs <= 0.5
    zeroed = samples.masked(channels, keep)
    np.testing.assert_allclose(answers(narrow, floats), answers(zeroed, floats), atol=CLOSE)
    # Probabilities may be saturated; what the last layer reads is not. It is compared at its own scale.
    read = next(use for use in channels.uses if use.layer is model.layers[-1]).weights[0].ids[0]
    features = answers(keras.Model(zeroed.inputs[0], zeroed.operations[-2].output), floats)
    features = features[:, channels.places(read, keep)]
    assert features.std(axis=0).mean() > 1e-3
    narrow_features = answers(keras.Model(narrow.inputs[0], narrow.layers[-1].input), floats)
    np.testing.assert_allclose(narrow_features, features, atol=CLOSE * np.abs(features).max())
