"""Depth pruning as a user meets it: a backbone in, one with fewer blocks out."""

from dataclasses import replace

import channel_samples as samples
import msgspec
import numpy as np
import pytest
from test_channel_stage import backbone, workshop

from edgefer.compression.base import Pace
from edgefer.compression.stages.blocks import STAGES, Options
from edgefer.errors import InputError, SettingError
from edgefer.recipe import TrainingPart, Tuning
from edgefer.settings import explain

keras = pytest.importorskip("keras")
layers = keras.layers

from edgefer.backbones.graph import cost_of  # noqa: E402
from edgefer.compression.block_importance import removal_order  # noqa: E402

(STAGE,) = STAGES
STRENGTHS = {"strong": 1.0, "faint": 0.001, "weak": 0.05, "middle": 0.3}


def chain():
    """Four blocks of equal cost that add more or less to the stream."""
    image = keras.Input((8, 8, 3), name="image")
    value = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    for name in STRENGTHS:
        branch = layers.Conv2D(8, 3, padding="same", activation="tanh", name=f"{name}_conv")(value)
        value = layers.Add(name=name)(
            [value, layers.Conv2D(8, 1, use_bias=False, name=f"{name}_out")(branch)]
        )
    value = layers.GlobalAveragePooling2D()(value)
    model = samples.shaken(keras.Model(image, layers.Dense(3, activation="softmax", name="answers")(value)))
    for name, strength in STRENGTHS.items():
        out = model.get_layer(f"{name}_out")
        out.kernel.assign(3 * strength * out.kernel)
    return model


@pytest.fixture(scope="module")
def whole():
    return backbone(chain())


def removed(result):
    return [one["block"] for one in result.findings["removed"]]


def test_the_blocks_that_matter_least_go_first_and_the_findings_say_so(whole):
    before = [weight.copy() for weight in whole.model.get_weights()]
    result = STAGE.run(whole, Options(blocks=3, rows=32), workshop())
    assert removed(result) == ["faint", "weak", "middle"]
    rises = [one["divergence"] for one in result.findings["removed"]]
    assert 0 <= rises[0] < rises[1] < rises[2]
    assert result.findings["blocks"] == [4, 1]
    assert result.findings["macs"] == [cost_of(whole.model).macs, cost_of(result.backbone.model).macs]
    assert [layer.name for layer in result.backbone.model.layers if isinstance(layer, layers.Add)] == [
        "strong"
    ]
    msgspec.json.encode(result.findings)
    assert result.backbone.sha256 == ""
    assert all(
        np.array_equal(one, other) for one, other in zip(before, whole.model.get_weights(), strict=True)
    )


@pytest.mark.parametrize("price", ["macs", "parameters"])
def test_no_more_blocks_go_than_the_budget_asks_for(whole, price):
    result = STAGE.run(whole, Options(**{price: 0.6}, rows=32), workshop())
    before, after = result.findings[price]
    assert after <= 0.6 * before
    one = (before - after) / len(removed(result))
    assert after + one > 0.6 * before


def test_a_block_that_saves_much_may_cost_more():
    """Two blocks of equal worth, one of them ten times as large: under a budget the large one goes."""
    image = keras.Input((8, 8, 3), name="image")
    value = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    for name, width in (("small", 4), ("large", 80)):
        branch = layers.Conv2D(width, 3, padding="same", activation="tanh", name=f"{name}_conv")(value)
        value = layers.Add(name=name)([value, layers.Conv2D(8, 1, name=f"{name}_out")(branch)])
    value = layers.GlobalAveragePooling2D()(value)
    model = samples.shaken(keras.Model(image, layers.Dense(3, activation="softmax")(value)))
    for name, strength in (("small", 0.1), ("large", 0.2)):
        out = model.get_layer(f"{name}_out")
        out.set_weights([strength * one for one in out.get_weights()])
    assert removed(STAGE.run(backbone(model), Options(macs=0.9, rows=32), workshop())) == ["large"]
    assert removed(STAGE.run(backbone(model), Options(blocks=1, rows=32), workshop())) == ["small"]


def test_a_budget_in_latency_is_measured_on_networks_without_the_blocks(whole):
    timed = []

    def pace(before, cut, batch):
        assert before is whole
        left = sum(isinstance(layer, layers.Add) for layer in cut.model.layers)
        timed.append((left, batch))
        return Pace(ratio=0.2 + 0.2 * left, low=None, high=None)

    result = STAGE.run(whole, Options(latency=0.7, batch=4, rows=32), workshop(pace=pace))
    assert removed(result) == ["faint", "weak"]
    assert result.findings["latency"]["ratio"] == 0.6
    assert timed[0] == (0, 4)
    assert len(timed) <= 3


def test_excluded_blocks_stay(whole):
    result = STAGE.run(whole, Options(blocks=2, rows=32, exclude=("f*",)), workshop())
    assert removed(result) == ["weak", "middle"]


def test_what_is_left_learns_from_the_network_that_came_into_the_run(whole):
    original = replace(whole, name="original")
    shop = workshop(original=original)
    tuning = Tuning(training=TrainingPart(epochs=1, batch_size=8, learning_rate=0.1))
    result = STAGE.run(whole, Options(blocks=1, rows=32, tuning=tuning), shop)
    ((cut, given, name, teacher),) = shop.tuned
    assert (given, name) == (tuning, "tuning")
    assert teacher is original
    assert result.backbone is cut


def test_a_block_inside_another_goes_with_it():
    image = keras.Input((8, 8, 3), name="image")
    value = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    inner = layers.Conv2D(8, 3, padding="same", name="before")(value)
    inner = layers.Add(name="inner")([inner, layers.Conv2D(8, 1, name="deep")(inner)])
    value = layers.GlobalAveragePooling2D()(layers.Add(name="outer")([value, inner]))
    model = samples.shaken(keras.Model(image, layers.Dense(3, activation="softmax")(value)))
    from edgefer.backbones.graph import calls
    from edgefer.compression.residual_blocks import blocks_of

    network = calls(model)
    inside, outside = blocks_of(network)
    order = list(removal_order(model, network, [outside], samples.images(), None))
    assert [one.block.name for one in order] == ["outer"]
    names = [
        one.block.name for one in removal_order(model, network, [inside, outside], samples.images(), None)
    ]
    assert names in (["outer"], ["inner", "outer"])


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"macs": 1.0}, "macs"),
        ({"blocks": 0}, "blocks"),
        ({"blocks": 1, "rows": 0}, "rows"),
        ({"latency": 0.0}, "latency"),
        ({"blocks": 1, "macs": 0.5}, "macs"),
        ({}, "macs"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(settings, key):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(settings, Options)
    assert explain(caught.value, Options).key == key


@pytest.mark.parametrize(
    ("options", "message", "key"),
    [
        (Options(macs=0.01), "macs: no plan keeps as little as 0.01; the smallest that can be reached is 0.0", "macs"),
        (Options(blocks=5), "blocks: only 4 may be left out", "blocks"),
        (Options(blocks=4, exclude=("weak",)), "blocks: only 3 may be left out", "blocks"),
        (Options(blocks=1, exclude=("week",)), "exclude: no block's name matches 'week'", "exclude"),
        (Options(macs=0.9, exclude=("*",)), "only 0 may be left out", "exclude"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_any_image_is_looked_at(whole, options, message, key):
    shop = workshop()
    shop.dataset = None
    with pytest.raises(SettingError, match=message) as caught:
        STAGE.run(whole, options, shop)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("build", "reason"),
    [(samples.plain, "it adds no tensors"), (samples.concatenated, "in none of its 1 sums")],
)
def test_a_network_without_residual_blocks_is_refused_with_the_reason(build, reason):
    with pytest.raises(InputError, match=f"toy has no residual block that can be left out: {reason}"):
        STAGE.run(backbone(build()), Options(blocks=1), workshop())
