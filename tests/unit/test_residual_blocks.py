"""Which residual blocks can be left out, and that a network without them is the one with their branches at zero."""

import channel_samples as samples
import numpy as np
import pytest

from tests.networks import numbered, spread, twins

keras = pytest.importorskip("keras")
layers = keras.layers

from edgefer.backbones.graph import calls, cost_of  # noqa: E402
from edgefer.compression.residual_blocks import (  # noqa: E402
    blocks_of,
    cost_without,
    gated,
    without_blocks,
)

# Probabilities, from float32 sums of at most some hundred products of order 1 that may be added in another order.
CLOSE = 1e-5


def blocks(model):
    return {block.name: block for block in blocks_of(calls(model))}


def answers(model, *inputs):
    return np.asarray(model(inputs if len(inputs) > 1 else inputs[0], training=False))


def silenced(model, *makers):
    """A copy in which the last layers of branches have zero weights: what they add is zero, without any graph."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for name in makers:
        layer = copy.get_layer(name)
        # A norm's mean and variance may be anything once its gamma and beta are zero.
        kept = ("moving_mean", "moving_variance")
        layer.set_weights([np.asarray(one) * (one.name in kept) for one in layer.weights])
    return copy


def network(body):
    image = keras.Input((8, 8, 3), name="image")
    value = layers.GlobalAveragePooling2D()(body(layers.Conv2D(6, 3, padding="same", name="stem")(image)))
    return samples.shaken(
        keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(value))
    )


@pytest.mark.parametrize(
    ("build", "name", "maker"),
    [
        (samples.residual, "add1", "expand1"),  # the shortcut leaves before norm and ReLU, as in ResNetV2
        (samples.residual, "add2", "expand2"),
        (samples.inverted, "add", "project_norm"),
        (samples.nested, "add", "inner"),
    ],
)
def test_a_network_without_a_block_is_the_one_whose_branch_is_zero(build, name, maker):
    model = build()
    block = blocks(model)[name]
    floats = samples.images()
    before = [weight.copy() for weight in model.get_weights()]
    if build is samples.nested:
        inner = next(one for one in model.layers if one.name == "block").get_layer(maker)
        held = inner.get_weights()
        cut = without_blocks(model, [block])
        inner.set_weights([np.zeros_like(one) for one in held])
        expected = answers(model, floats)
        inner.set_weights(held)
    else:
        cut, expected = without_blocks(model, [block]), answers(silenced(model, maker), floats)
    np.testing.assert_allclose(answers(cut, floats), expected, atol=CLOSE)
    assert np.abs(expected - answers(model, floats)).max() > 1e-3  # or the comparison would prove nothing
    gates = np.zeros((len(floats), 1), np.float32)
    np.testing.assert_allclose(answers(gated(model, [block]), floats, gates), expected, atol=CLOSE)
    assert name not in {layer.name for layer in cut.layers}
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))


def test_what_lies_between_may_split_and_join():
    """Squeeze-and-excitation reads the branch twice, and all of it goes."""

    def body(value):
        inner = layers.Conv2D(6, 3, padding="same", name="inner")(value)
        gate = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(inner)
        gate = layers.Conv2D(6, 1, activation="sigmoid", name="gate")(gate)
        return layers.Add(name="add")([layers.Multiply(name="excite")([inner, gate]), value])

    model = network(body)
    cut = without_blocks(model, blocks(model).values())
    assert [layer.name for layer in cut.layers if layer.weights] == ["stem", "probabilities"]
    np.testing.assert_allclose(
        answers(cut, samples.images()), answers(silenced(model, "inner"), samples.images()), atol=CLOSE
    )


def projected(value):
    side = layers.Conv2D(6, 1, name="side")(value)
    return layers.Add()([side, layers.Conv2D(6, 3, padding="same")(value)])


def read_outside(value):
    inner = layers.Conv2D(6, 3, padding="same")(value)
    return layers.Multiply()([layers.Add()([value, layers.ReLU()(inner)]), inner])


def fed_from_before(value):
    later = layers.Conv2D(6, 1)(value)
    return layers.Add()([later, layers.Multiply()([layers.Conv2D(6, 1)(later), value])])


def of_three(value):
    return layers.Add()([value, layers.Conv2D(6, 1)(value), layers.Conv2D(6, 1)(value)])


def broadcast(value):
    return layers.Add()([value, layers.GlobalAveragePooling2D(keepdims=True)(value)])


@pytest.mark.parametrize("body", [projected, read_outside, fed_from_before, of_three, broadcast])
def test_other_sums_are_no_blocks(body):
    assert not blocks(network(body))


@pytest.mark.parametrize(
    ("family", "count"),
    [
        ("mobilenetv2", 10),
        ("efficientnetv2b0", 15),
        ("efficientnetv2b1", 21),
        ("resnet50v2", 9),
        ("vgg16", 0),
    ],
)
def test_real_families(family, count):
    """ResNet50V2 has 16 sums: four shortcuts are projected, three pooled."""
    from edgefer.registry import discover, lookup

    build = lookup("family", family, discover("edgefer.backbones.families", "FAMILIES")).build
    model = build((48, 48, 3), 9, None, {})
    network = calls(model)
    found = blocks_of(network)
    assert len(found) == count
    if not found:
        return
    floats = samples.images(rows=4, size=48)
    spread(model, floats)
    gone = found[::2]
    cut = without_blocks(model, gone)
    foretold, cost = cost_without(network, gone), cost_of(cut)
    assert (foretold.parameters, foretold.macs, foretold.layers) == (cost.parameters, cost.macs, cost.layers)
    gates = np.tile(np.float32([block not in gone for block in found]), (len(floats), 1))
    expected = answers(gated(model, found), floats, gates)
    np.testing.assert_allclose(answers(cut, floats), expected, atol=CLOSE)
    assert np.abs(expected - answers(model, floats)).max() > 1e-3


def test_layers_of_one_name_in_a_body_and_its_head_are_told_apart():
    model = twins()
    (block,) = blocks_of(calls(model))
    floats = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype(np.float32)
    gates = np.ones((4, 1), np.float32)
    np.testing.assert_allclose(
        answers(gated(model, [block]), floats, gates), answers(model, floats), atol=CLOSE
    )


def test_gates_have_names_that_no_operation_of_a_loaded_network_has():
    model = numbered()
    first, _ = blocks_of(calls(model))
    floats = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype(np.float32)
    gates = np.ones((4, 1), np.float32)
    np.testing.assert_allclose(
        answers(gated(model, [first]), floats, gates), answers(model, floats), atol=CLOSE
    )
