"""Which channels go together, and which networks are refused."""

import channel_samples as samples
import numpy as np
import pytest

from edgefer.errors import InputError, SettingError

keras = pytest.importorskip("keras")
layers = keras.layers

from edgefer.backbones.graph import cost_of  # noqa: E402
from edgefer.compression.channel_costs import Costs  # noqa: E402
from edgefer.compression.channel_groups import channels_of  # noqa: E402


def groups(model, exclude=()):
    """Layers of each group, by name, and its width."""
    return {tuple(sorted(group.layers)): len(group.units) for group in channels_of(model, exclude).groups}


def classifier(*body):
    image = keras.Input((8, 8, 3), name="image")
    value = image
    for layer in body:
        value = layer(value)
    value = layers.GlobalAveragePooling2D()(value) if len(value.shape) == 4 else value
    return keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(value))


def test_a_chain_has_one_group_a_layer_and_the_classes_stay():
    assert groups(samples.plain()) == {("conv1",): 12, ("conv2",): 10, ("conv3",): 9, ("hidden",): 11}


def test_a_residual_stream_is_one_group():
    stream = ("expand1", "expand2", "side", "stem", "third")
    assert groups(samples.residual()) == {stream: 8, ("squeeze1",): 5, ("squeeze2",): 5}


def test_depthwise_outputs_go_with_their_input():
    assert groups(samples.inverted()) == {("project", "stem"): 4, ("expand",): 12}


def test_a_gate_goes_with_what_it_gates():
    assert groups(samples.squeeze_excite()) == {
        ("conv", "expand"): 10, ("reduce",): 4, ("gate", "project"): 9}  # fmt: skip


def test_a_sum_with_a_concatenation_ties_by_offset():
    assert groups(samples.concatenated()) == {
        ("left",): 5, ("right",): 7, ("low", "mixed", "two"): 2, ("four", "low", "mixed"): 4}  # fmt: skip


def test_what_looks_at_all_channels_keeps_them():
    # The single channel of the gate stays, for all the others are multiplied by it.
    assert groups(samples.kept_whole()) == {("wide",): 10}


def test_a_layer_called_twice_has_one_set_of_channels():
    assert groups(samples.shared()) == {("again", "stem"): 6, ("last",): 5}


def test_the_image_is_never_pruned():
    assert groups(classifier(layers.DepthwiseConv2D(3), layers.BatchNormalization())) == {}


def test_excluded_layers_and_all_tied_to_them_stay():
    assert groups(samples.inverted(), ("proj*",)) == {("expand",): 12}
    with pytest.raises(SettingError, match="no layer's name matches 'blok_'") as caught:
        groups(samples.inverted(), ("blok_",))
    assert caught.value.key == "exclude"


class Doubled(layers.Layer):
    def call(self, value):
        return value * 2


class Renamed(layers.Conv2D):
    """Computes what its base does, but nobody can know."""


def _attention(image):
    tokens = layers.Reshape((16, 6))(layers.Conv2D(6, 3, strides=2, padding="same", name="patches")(image))
    return layers.Flatten()(layers.Attention(name="odd")([tokens, tokens]))


def _chain(*odd):
    def build(image):
        value = layers.Conv2D(6, 3, padding="same", name="conv")(image)
        for layer in odd:
            value = layer(value)
        return layers.GlobalAveragePooling2D()(value)

    return build


def _ranks(image):
    value = layers.Conv2D(6, 3, name="conv")(image)
    return layers.GlobalAveragePooling2D()(
        layers.Add(name="odd")([value, layers.GlobalAveragePooling2D()(value)])
    )


ODD = {
    "lambda": (lambda image: _chain(layers.Lambda(lambda value: value * 2, name="odd"))(image), "not known"),
    "custom": (lambda image: _chain(Doubled(name="odd"))(image), "not known"),
    "subclass": (lambda image: _chain(Renamed(5, 1, name="odd"))(image), "not known"),
    "attention": (_attention, "not known"),
    "channels_first": (
        lambda image: _chain(layers.MaxPooling2D(data_format="channels_first", name="odd"))(image), "channels_first"),
    "axis": (lambda image: _chain(layers.BatchNormalization(axis=1, name="odd"))(image), "axis 1"),
    "activation": (lambda image: _chain(layers.Activation(lambda value: value[..., ::-1], name="odd"))(image),
                   "activation '<lambda>'"),
    "ranks": (_ranks, "ranks"),
    "constant": (lambda image: _chain(lambda value: value * np.ones(6, np.float32))(image), "written into"),
}  # fmt: skip


def odd_network(name):
    image = keras.Input((8, 8, 3), name="image")
    value = ODD[name][0](image)
    return keras.Model(image, layers.Dense(3, activation="softmax")(value))


@pytest.mark.parametrize("name", ODD)
def test_a_layer_that_cannot_be_followed_is_named_with_what_to_do(name):
    model = odd_network(name)
    odd = "multiply" if name == "constant" else "odd"
    with pytest.raises(InputError, match=f"layer '{odd}.*{ODD[name][1]}") as caught:
        channels_of(model)
    assert f"exclude = ['{odd}" in caught.value.hint


@pytest.mark.parametrize("name", ["custom", "attention", "channels_first", "ranks"])
def test_an_excluded_odd_layer_keeps_what_it_reads(name):
    assert groups(odd_network(name), ("odd",)) == {}


def test_an_odd_layer_on_the_image_itself_is_harmless():
    assert groups(classifier(Doubled(), layers.Conv2D(6, 3, name="conv"))) == {("conv",): 6}


def test_a_subclassed_network_is_refused():
    class Opaque(keras.Model):
        def call(self, value):
            return value

    with pytest.raises(InputError, match="Opaque"):
        channels_of(Opaque())


@pytest.mark.parametrize("name", samples.NETWORKS)
def test_the_whole_network_costs_what_it_is_counted_to(name):
    model = samples.NETWORKS[name]()
    channels = channels_of(model)
    costs = Costs(channels)
    assert costs.of(samples.counts_of(channels, np.ones(channels.units, np.bool_))) == cost_of(model)


def test_savings_are_the_slope_of_the_cost():
    channels = channels_of(samples.squeeze_excite())
    costs = Costs(channels)
    for price in ("macs", "parameters"):
        middle = costs.widths - 1
        for group, saving in enumerate(costs.savings(price, middle)):
            step = np.eye(len(middle), dtype=np.int64)[group]
            more, less = (getattr(costs.of(middle + sign * step), price) for sign in (1, -1))
            # A product of two lengths is at most quadratic, so the central difference is its slope.
            assert saving == pytest.approx((more - less) / 2)
