"""The stage that makes the smallest weights zero, on toy networks and noise."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_samples import backbone_of, images, inverted_residual, seeded, squeeze_excite, tuning, workshop

from edgefer.compression.sparsity import sizes_of, sparsity_of
from edgefer.compression.stages.magnitude import Options, Plan, plan_of, run
from edgefer.compression.tf_keras_checkpoint import NAME
from edgefer.errors import InputError, TrainingError

# Importing the package here would turn tf.keras into tf_keras for all tests.
pytestmark = pytest.mark.skipif(
    find_spec("tensorflow_model_optimization") is None,
    reason="tensorflow-model-optimization is not installed",
)

KERNELS = {
    "stem",
    "expand",
    "project",
    "probabilities",
}  # of the inverted residual, without the depthwise one


def options(**chosen: Any) -> Options:
    return Options(**{"tuning": tuning(), "sparsity": 0.75, **chosen})


@pytest.fixture(scope="module")
def network() -> Any:
    return seeded(inverted_residual)


@pytest.fixture(scope="module")
def pruned(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    chosen = options(exclude=("probab*",))
    return run(backbone_of(network), chosen, workshop(tmp_path_factory.mktemp("whole")))


def test_each_layer_has_the_share_of_zeros_that_was_asked_for(pruned: Any):
    model = pruned.backbone.model
    for name in ("stem", "expand", "project"):
        kernel = np.asarray(model.get_layer(name).kernel)
        # The number of weights that stay is rounded to a whole one.
        assert np.sum(kernel == 0) == pytest.approx(0.75 * kernel.size, abs=1), name
        assert pruned.findings["sparsity_by_layer"][name] == sparsity_of([kernel])
    assert pruned.findings["sparsity"] == pytest.approx(0.75, abs=0.01)
    assert np.all(np.asarray(model.get_layer("depthwise").kernel))
    assert np.all(np.asarray(model.get_layer("probabilities").kernel))
    assert set(pruned.findings["sparsity_by_layer"]) == {"stem", "expand", "project"}


def test_the_given_network_stays_as_it_was(network: Any, pruned: Any):
    original = seeded(inverted_residual)
    assert all(
        np.array_equal(a, b) for a, b in zip(network.get_weights(), original.get_weights(), strict=True)
    )
    assert pruned.backbone.model is not network
    moved = (
        np.asarray(pruned.backbone.model.get_layer("depthwise").kernel)
        - network.get_layer("depthwise").kernel
    )
    assert np.max(np.abs(moved)) > 1e-3  # the network was trained on


def test_what_zeros_are_worth_is_said_in_bytes_and_words(network: Any, pruned: Any):
    findings = pruned.findings
    assert findings["stored_bytes"] == 4 * network.count_params() == sizes_of(network).stored
    assert findings["gzip_bytes"] == sizes_of(pruned.backbone.model).gzip < findings["gzip_bytes_before"]
    assert "zeros alone do not make a dense runtime faster" in findings["remark"]


def test_the_kept_epoch_is_the_best_that_ends_with_all_zeros(pruned: Any):
    epochs = pruned.findings["epochs"]
    assert [epoch["number"] for epoch in epochs] == [1, 2, 3]
    # The zeros are complete after half of three epochs, in the second.
    scores = [epoch["validation_weighted_f1"] for epoch in epochs[1:]]
    assert pruned.findings["validation_weighted_f1"] == max(scores)
    assert pruned.findings["epoch"] == 2 + scores.index(max(scores))


@pytest.mark.usefixtures("pruned")
def test_tf_keras_does_not_become_the_keras_of_other_processes():
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def test_two_of_four_input_channels_are_zero(network: Any, tmp_path: Path):
    notes: list[str] = []
    chosen = options(sparsity=0.5, pattern="2:4", tuning=tuning(1))
    result = run(backbone_of(network), chosen, workshop(tmp_path, note=notes.append))
    for name in ("expand", "project"):
        kernel = np.asarray(result.backbone.model.get_layer(name).kernel)[0, 0]  # (in, out)
        groups = kernel.T.reshape(kernel.shape[1], -1, 4)
        assert np.all(np.sum(groups == 0, axis=-1) == 2), name
    assert "dense runtime" in notes[-1]


def test_the_user_reads_stored_and_gzip_sizes_in_kilobytes(network: Any, tmp_path: Path):
    notes: list[str] = []
    found = run(
        backbone_of(network), options(tuning=tuning(1)), workshop(tmp_path, note=notes.append)
    ).findings
    kilobytes = {key: f"{found[key] / 1e3:,.1f} kB" for key in found if "bytes" in key}
    assert len(set(kilobytes.values())) == 3
    assert f"{kilobytes['stored_bytes']} stored" in notes[0]
    assert f"{kilobytes['gzip_bytes_before']} by gzip before" in notes[0]
    assert f"and {kilobytes['gzip_bytes']} after" in notes[0]
    assert notes[0].startswith("75% of the pruned weights are zero")


class Interrupt:
    """Stops a training in the middle of its third epoch."""

    def __call__(self, done: float, *_: object) -> None:
        if done == 8:
            raise KeyboardInterrupt


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_an_interrupted_stage_ends_where_an_uninterrupted_one_does(pattern: str, tmp_path: Path):
    backbone = backbone_of(seeded(squeeze_excite))
    chosen = options(sparsity=0.5, pattern=pattern, schedule="constant")
    whole = run(backbone, chosen, workshop(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run(backbone, chosen, workshop(tmp_path / "parts", step=Interrupt()))
    steps: list[float] = []
    resumed = run(backbone, chosen, workshop(tmp_path / "parts", step=lambda done, *_: steps.append(done)))
    assert steps == [7, 8, 9]  # two epochs of three steps were finished
    assert resumed.findings["sparsity_by_layer"] == whole.findings["sparsity_by_layer"]
    # Threads add floats in any order; a few steps of Adam multiply that.
    np.testing.assert_allclose(resumed.backbone.model(images()), whole.backbone.model(images()), atol=1e-4)


def test_the_folder_of_another_network_is_refused(network: Any, tmp_path: Path):
    run(backbone_of(seeded(squeeze_excite)), options(tuning=tuning(1)), workshop(tmp_path))
    with pytest.raises(
        InputError, match=r"tuning\.npz: cannot be gone on with \(it belongs to another network\)"
    ):
        run(backbone_of(network), options(tuning=tuning(1)), workshop(tmp_path))
    (tmp_path / NAME).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"cannot be gone on with.*remove the file"):
        run(backbone_of(network), options(tuning=tuning(1)), workshop(tmp_path))


def test_a_training_that_explodes_is_named(network: Any, tmp_path: Path):
    sample = workshop(tmp_path)
    chosen = options(tuning=tuning(2, optimizer="sgd"))
    burst = msgspec.structs.replace(chosen.tuning.training, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"no number any more in step \d of epoch 1.*lower tuning"):
        run(
            backbone_of(network),
            options(tuning=msgspec.structs.replace(chosen.tuning, training=burst)),
            sample,
        )


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        (("stem", "expnad"), "no prunable layer's name matches 'expnad'; did you mean 'expand'"),
        (("*",), "left to prune"),
    ],
)
def test_an_exclusion_that_means_nothing_or_all_is_refused(
    exclude: tuple[str, ...], said: str, network: Any, tmp_path: Path
):
    with pytest.raises(InputError, match=said):
        run(backbone_of(network), options(exclude=exclude), workshop(tmp_path))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"sparsity": 1.0}, "sparsity must lie between 0 and 1"),
        ({"sparsity": 0.0}, "sparsity must lie between 0 and 1"),
        ({"begin": 0.5, "end": 0.5}, "begin and end"),
        ({"end": 1.1}, "begin and end"),
        ({"pattern": "4:2"}, "pattern must be"),
        ({"pattern": "half"}, "pattern must be"),
        ({"pattern": "2:4"}, r"sparsity must be 0\.5 with the pattern 2:4"),
        ({"pattern": "2:4", "sparsity": 0.5, "begin": 0.2}, "begin means nothing with the pattern 2:4"),
        ({"pattern": "2:4", "sparsity": 0.5, "end": 0.9}, "end means nothing with the pattern 2:4"),
        ({"tuning": tuning(ema=0.9)}, r"cannot have training\.ema"),
        ({"tuning": tuning(precision="mixed-float16")}, r"cannot have training\.precision"),
    ],
)
def test_settings_that_cannot_be_are_refused(chosen: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        options(**chosen)


@given(
    begin=st.floats(0, 0.9),
    length=st.floats(0.01, 1),
    epochs=st.integers(1, 60),
    steps=st.integers(1, 900),
    schedule=st.sampled_from(["polynomial", "constant"]),
)
def test_the_schedule_ends_with_a_choice_and_within_the_training(
    begin: float, length: float, epochs: int, steps: int, schedule: Any
):
    plan = plan_of(
        options(begin=begin, end=min(1.0, begin + length), schedule=schedule, tuning=tuning(epochs)), steps
    )
    total = epochs * steps
    assert 0 <= plan.begin <= plan.end <= total
    assert (plan.end - plan.begin) % plan.frequency == 0
    assert plan.end - round(begin * total) >= 0.9 * (min(1.0, begin + length) - begin) * total - 3
    assert 1 <= plan.first_epoch <= epochs
    reached = plan.end if schedule == "polynomial" else plan.begin
    assert reached <= plan.first_epoch * steps


def test_a_plan_in_figures():
    chosen = options(begin=0.1, end=0.5, tuning=tuning(10))
    assert plan_of(chosen, 200) == Plan(begin=200, end=1000, frequency=80, first_epoch=5)


@pytest.mark.parametrize("schedule", ["polynomial", "constant"])
def test_any_epoch_may_be_the_best_where_a_patterns_zeros_come_at_once(schedule: Any):
    chosen = options(pattern="2:4", sparsity=0.5, schedule=schedule, tuning=tuning(10))
    assert plan_of(chosen, 200).first_epoch == 1


def test_a_training_that_explodes_in_its_last_step_is_named_too(network: Any, tmp_path: Path):
    burst = replace(workshop(tmp_path), rate=lambda _, epoch, __: 1e38 if epoch == 1 else 1e-3)
    with pytest.raises(TrainingError, match=r"no numbers any more at the end of epoch 1.*lower tuning"):
        run(backbone_of(network), options(tuning=tuning(1, optimizer="sgd")), burst)
