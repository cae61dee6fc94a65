"""Which channels are thought unimportant, and how many of them go."""

import channel_samples as samples
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.errors import InputError

keras = pytest.importorskip("keras")
layers = keras.layers

from edgefer.compression.channel_budget import Limits, plans, smallest_share  # noqa: E402
from edgefer.compression.channel_costs import Costs  # noqa: E402
from edgefer.compression.channel_groups import channels_of  # noqa: E402
from edgefer.compression.channel_importance import (  # noqa: E402
    batch_norm_scales,
    taylor,
    weight_norms,
    with_batch_norm,
)


@pytest.fixture(scope="module")
def residual():
    return channels_of(samples.residual())


@pytest.fixture(scope="module")
def wide():
    """Groups of 40, 20 and 8 channels."""
    image = keras.Input((8, 8, 3))
    value = layers.Conv2D(40, 3, name="a")(image)
    value = layers.BatchNormalization(name="norm")(value)
    value = layers.Conv2D(20, 3, name="b")(value)
    value = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1, name="c")(value))
    return channels_of(samples.shaken(keras.Model(image, layers.Dense(3, activation="softmax")(value))))


def plan(channels, scores, macs):
    return plans(channels, Costs(channels), scores, Limits(), "macs").within("macs", macs)


def scores_of(channels, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 1.0, channels.units)


@settings(max_examples=40)
@given(
    target=st.floats(0.05, 0.99),
    multiple=st.integers(1, 9),
    minimum=st.floats(0, 1),
    price=st.sampled_from(["macs", "parameters"]),
    seed=st.integers(0, 100),
)
def test_a_plan_is_within_its_budget_and_its_limits_unless_the_smallest_is_not(
    wide, target, multiple, minimum, price, seed
):
    costs, limits = Costs(wide), Limits(minimum, multiple)
    row = plans(wide, costs, scores_of(wide, seed), limits, price)
    smallest = smallest_share(wide, costs, limits, price)
    assert row.shares(price)[-1] == smallest
    keep = row.within(price, max(target, smallest))
    assert costs.share(price, samples.counts_of(wide, keep)) <= max(target, smallest)
    for group, kept in zip(wide.groups, samples.counts_of(wide, keep), strict=True):
        width = len(group.units)
        assert min(max(np.ceil(minimum * width - 1e-9), multiple), width) <= kept <= width
        assert kept == width or kept % multiple == 0


def test_no_step_more_than_needed_is_taken(wide):
    """At most one step, of 8 channels of one layer, lies between the plan and its budget."""
    costs = Costs(wide)
    for target in (0.9, 0.7, 0.5, 0.3):
        keep = plan(wide, scores_of(wide), target)
        counts = samples.counts_of(wide, keep)
        larger = [np.minimum(counts + 8 * step, costs.widths) for step in np.eye(len(counts), dtype=np.int64)]
        assert max(costs.share("macs", each) for each in larger) > target


def test_the_least_important_channels_of_a_group_go(wide):
    scores = scores_of(wide)
    keep = plan(wide, scores, 0.5)
    for group in wide.groups:
        kept, gone = scores[group.units[keep[group.units]]], scores[group.units[~keep[group.units]]]
        assert not len(gone) or gone.max() < kept.min()


def test_an_unimportant_group_goes_before_the_others(wide):
    scores = scores_of(wide)
    (slim,) = (group for group in wide.groups if group.layers == ("b",))
    scores[slim.units] *= 1e-6
    keep = plan(wide, scores, 0.7)
    assert {group.layers for group in wide.groups if not keep[group.units].all()} == {("b",)}


def test_where_only_relative_scores_are_known_all_groups_shrink_alike(wide):
    costs = Costs(wide)
    for layer in wide.model.layers:  # kernels of equal norms: no channel is better than its siblings
        if isinstance(layer, layers.Conv2D):
            layer.kernel.assign(np.ones(layer.kernel.shape))
    keep = plans(wide, costs, weight_norms(wide), Limits(0.1, 2), price=None).within("macs", 0.4)
    shares = samples.counts_of(wide, keep) / costs.widths
    # One step of 2 channels is a quarter of the narrowest group.
    assert np.ptp(shares) <= 0.25
    assert shares.max() < 1


def unit(channels, layer, place):
    made = next(use.output for use in channels.uses if use.layer.name == layer)
    return channels.unit_of[made[place]]


def test_weight_norms_find_small_kernels_whatever_their_layers_scale():
    model = samples.plain()
    conv = model.get_layer("conv2")
    kernel, bias = conv.get_weights()
    kernel[..., 3] *= 0.01
    conv.set_weights([kernel, bias])
    channels = channels_of(model)
    before = weight_norms(channels)
    assert before[unit(channels, "conv2", 3)] < 0.05
    conv.set_weights([kernel * 100, bias])
    np.testing.assert_allclose(weight_norms(channels), before, rtol=1e-6)


def test_batch_norm_scales_are_gammas_and_groups_without_one_are_left_out(wide):
    gamma = np.abs(np.asarray(wide.model.get_layer("norm").gamma))
    (group,) = with_batch_norm(wide)
    assert group.layers == ("a",)
    np.testing.assert_array_equal(np.argsort(batch_norm_scales(wide)[group.units]), np.argsort(gamma))


def test_taylor_is_the_squared_slope_of_the_loss_when_a_unit_fades():
    """By hand: whatever the masked network reads of a unit is multiplied by 1 + h, and the loss is differenced."""
    channels = channels_of(samples.squeeze_excite())
    floats, targets = samples.images(), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    found = taylor(channels, [(floats, targets)])
    step = 1e-2
    for group in channels.groups:
        for one in group.units[:3]:
            losses = []
            for sign in (1, -1):
                factors = np.ones(channels.units)
                factors[one] += sign * step
                answers = np.asarray(samples.masked(channels, factors)(floats, training=False), np.float64)
                losses.append(-np.log((answers * targets).sum(axis=1)).mean())
            slope = (losses[0] - losses[1]) / (2 * step)
            # float32 losses near 1 have errors of 1e-7, divided by the step: 1e-5; the rest is curvature, O(step^2).
            assert np.sqrt(found[one]) == pytest.approx(abs(slope), rel=0.01, abs=5e-5)


def test_taylor_gives_nothing_to_a_channel_that_nobody_reads_and_is_a_mean_of_batches():
    model = samples.plain()
    hidden, head = model.get_layer("hidden"), model.get_layer("probabilities")
    kernel, bias = head.get_weights()
    kernel[4] = 0.0
    head.set_weights([kernel, bias])
    channels = channels_of(model)
    floats, targets = samples.images(), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    batches = [(floats[:2], targets[:2]), (floats[2:], targets[2:])]
    scores = taylor(channels, batches)
    assert scores[unit(channels, hidden.name, 4)] == 0
    each = [taylor(channels, [batch]) for batch in batches]
    np.testing.assert_allclose(scores, np.mean(each, axis=0), rtol=1e-5, atol=1e-12)


def test_taylor_on_another_backend_is_refused(residual, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="runs on jax"):
        taylor(residual, [])
