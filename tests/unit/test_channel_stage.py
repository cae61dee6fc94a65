"""Channel pruning as a user meets it: a backbone in, a smaller one out."""

from pathlib import Path
from types import SimpleNamespace

import channel_samples as samples
import msgspec
import numpy as np
import pytest
from training_samples import NAMES

from edgefer.backbones.base import Backbone
from edgefer.compression.base import Pace
from edgefer.compression.stages.channels import STAGES, Options
from edgefer.datasets.base import Dataset, Subset
from edgefer.errors import SettingError
from edgefer.recipe import TrainingPart, Tuning
from edgefer.settings import explain
from edgefer.spec import InputSpec, LabelSet

keras = pytest.importorskip("keras")

from edgefer.backbones.graph import cost_of  # noqa: E402

LABELS = LabelSet(source="folder", names=NAMES[:3])
SPEC = InputSpec(height=8, width=8, channels=3, range=(-1.0, 1.0))
(STAGE,) = STAGES


def backbone(model):
    return Backbone(model=model, input=SPEC, labels=LABELS, lineage=(), name="toy", sha256="abc")


def workshop(rows=40, original=None, pace=None):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows)
    pixels = rng.integers(0, 256, (rows, 8, 8, 1), np.uint8)
    train = Subset(pixels, labels, np.eye(3, dtype=np.float32)[labels], np.zeros(rows, np.bool_))
    tuned = []

    def tune(pruned, tuning, name, teacher):
        tuned.append((pruned, tuning, name, teacher))
        return pruned

    return SimpleNamespace(
        original=original,
        pace=pace,
        dataset=Dataset("toy", LABELS, {"train": train}),
        folder=Path(),
        seed=3,
        tune=tune,
        tuned=tuned,
        step=lambda *_: None,
        note=lambda _: None,
    )


@pytest.mark.parametrize("importance", ["weight", "taylor"])
def test_half_the_macs_are_left_and_the_findings_say_so(importance):
    whole = backbone(samples.inverted())
    before = [weight.copy() for weight in whole.model.get_weights()]
    options = Options(macs=0.5, importance=importance, rows=32, multiple=1)
    result = STAGE.run(whole, options, workshop())
    cost, full = cost_of(result.backbone.model), cost_of(whole.model)
    assert cost.macs <= 0.5 * full.macs
    assert result.findings["macs"] == [full.macs, cost.macs]
    assert result.findings["parameters"] == [full.parameters, cost.parameters]
    widths = {
        layer.name: layer.filters for layer in result.backbone.model.layers if hasattr(layer, "filters")
    }
    for name, (wide, narrow) in result.findings["channels"].items():
        assert whole.model.get_layer(name).filters == wide > narrow == widths[name]
    msgspec.json.encode(result.findings)
    assert result.backbone.sha256 == ""
    assert all(
        np.array_equal(one, other) for one, other in zip(before, whole.model.get_weights(), strict=True)
    )


def test_batch_norm_importance_prunes_what_has_one():
    result = STAGE.run(
        backbone(samples.inverted()), Options(macs=0.8, importance="batch-norm", multiple=1), workshop()
    )
    assert result.findings["channels"]


def test_a_share_of_the_parameters():
    whole = samples.plain()
    result = STAGE.run(backbone(whole), Options(parameters=0.6, importance="weight", multiple=1), workshop())
    assert result.backbone.model.count_params() <= 0.6 * whole.count_params()


def test_the_pruned_network_learns_from_the_one_that_came_into_the_run():
    whole, original = backbone(samples.plain()), backbone(samples.plain())
    shop = workshop(original=original)
    tuning = Tuning(training=TrainingPart(epochs=1, batch_size=8, learning_rate=0.1))
    options = Options(macs=0.6, importance="weight", multiple=1, tuning=tuning)
    result = STAGE.run(whole, options, shop)
    ((pruned, given, name, teacher),) = shop.tuned
    assert (given, name, teacher) == (tuning, "tuning", original)
    assert result.backbone is pruned
    assert pruned.model.count_params() < whole.model.count_params()


def test_a_budget_in_latency_is_met_by_a_measured_plan():
    """Time as it is where starting layers costs as much as half of all arithmetic."""
    whole, timed = backbone(samples.inverted()), []

    def pace(before, cut, batch):
        assert before is whole
        timed.append(batch)
        share = cost_of(cut.model).macs / cost_of(whole.model).macs
        return Pace(ratio=1 / 3 + share * 2 / 3, low=None, high=None)

    options = Options(latency=0.7, batch=2, importance="weight", multiple=1)
    result = STAGE.run(whole, options, workshop(pace=pace))
    after = cost_of(result.backbone.model).macs / cost_of(whole.model).macs
    found = result.findings["latency"]
    assert 0.6 < found["ratio"] <= 0.7
    assert found["ratio"] == pytest.approx(1 / 3 + after * 2 / 3, abs=1e-4)
    assert timed == [2] * len(found["plans"])


def test_a_budget_in_latency_that_no_plan_reaches_is_refused():
    shop = workshop(pace=lambda *_: Pace(ratio=0.5, low=None, high=None))
    with pytest.raises(SettingError, match=r"the smallest that was measured is 0\.5") as caught:
        STAGE.run(backbone(samples.plain()), Options(latency=0.4, importance="weight"), shop)
    assert caught.value.key == "latency"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"macs": 1.0}, "macs"),
        ({"macs": 0.0}, "macs"),
        ({"parameters": -0.5}, "parameters"),
        ({"parameters": 1.5}, "parameters"),
        ({"latency": 1.0}, "latency"),
        ({"latency": 0.5, "batch": 0}, "batch"),
        ({"macs": 0.5, "batch": 8}, "batch"),
        ({"macs": 0.5, "rows": 1}, "rows"),
        ({"macs": 0.5, "minimum": 2.0}, "minimum"),
        ({"macs": 0.5, "multiple": 0}, "multiple"),
        ({"macs": 0.5, "importance": "bn"}, "importance"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(settings, key):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(settings, Options)
    assert explain(caught.value, Options).key == key


@pytest.mark.parametrize("settings", [{}, {"macs": 0.5, "parameters": 0.5}, {"macs": 0.5, "latency": 0.5}])
def test_one_budget_has_to_be_given(settings):
    with pytest.raises(
        ValueError, match="macs or parameters or latency has to be given, and only one of them"
    ):
        Options(**settings)


@pytest.mark.parametrize("price", ["macs", "parameters"])
def test_a_budget_that_no_plan_reaches_is_refused_before_any_image_is_looked_at(price):
    shop = workshop()
    shop.dataset = None
    with pytest.raises(
        SettingError, match=f"{price}: no plan keeps as little as 0.01; the smallest"
    ) as caught:
        STAGE.run(backbone(samples.plain()), Options(**{price: 0.01}), shop)
    assert caught.value.key == price
