"""``edgefer compress`` down to a budget in latency, on real files and a real clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.backbones.loading import load_backbone
from tests.e2e.conftest import SIZE, edgefer


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two residual blocks of convolutions that are wide enough for arithmetic to be most of the time."""
    import keras

    from edgefer.backbones.base import Backbone
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.spec import InputSpec

    keras.utils.set_random_seed(7)
    image = keras.Input((SIZE, SIZE, 1), name="image")
    value = keras.layers.Conv2D(48, 3, strides=2, padding="same", activation="relu", name="stem")(image)
    for name in ("first", "second"):
        inner = keras.layers.Conv2D(48, 3, padding="same", activation="relu", name=f"{name}_in")(value)
        inner = keras.layers.Conv2D(48, 3, padding="same", name=f"{name}_out")(inner)
        value = keras.layers.Add(name=name)([value, inner])
    value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    network = keras.Model(image, keras.layers.Dense(9, activation="softmax", name="answers")(value))
    spec = InputSpec(height=SIZE, width=SIZE, channels=1, color="gray", range=(0.0, 1.0))
    path = tmp_path_factory.mktemp("residual") / "wide.keras"
    save_backbone(Backbone(network, spec, LABEL_SETS["ferplus-9"], (), "wide", ""), path)
    return path


def test_blocks_then_channels_to_a_share_of_the_time(residual: Path, tmp_path: Path):
    """A tenth of the channels would be left at least, a hundredth of the arithmetic: 60 % of the time is easy."""
    out = tmp_path / "run"
    options = ("--data=synthetic", "--format=tflite-fp32", "--out", out, "--json",
               "--stage=blocks", "--set=blocks.blocks=1", "--set=blocks.rows=32",
               "--stage=channels", "--set=channels.latency=0.6", "--set=channels.importance=weight")  # fmt: skip
    ran = edgefer("compress", residual, *options)
    assert ran.code == 0, ran.err
    blocks, channels = ran.json["stages"]
    assert len(blocks["findings"]["removed"]) == 1
    assert blocks["standing"]["cost"]["macs"] < 0.6 * ran.json["original"]["cost"]["macs"]
    found = channels["findings"]["latency"]
    assert found["ratio"] <= 0.6
    assert 1 <= len(found["plans"]) <= 7
    assert found["plans"][-1]["ratio"] == found["ratio"]
    assert channels["race"]["fps"] > channels["race"]["original_fps"]
    cut = load_backbone(out / "wide.keras")
    assert [step.name for step in cut.lineage] == ["blocks", "channels"]
    assert {layer.name for layer in cut.model.layers} & {"first", "second"} == {
        {"first": "second", "second": "first"}[blocks["findings"]["removed"][0]["block"]]
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set=blocks.blocks=1",), "small has no residual block that can be left out: it adds no tensors"),
        (("--set=blocks.blocks=1", "--set=blocks.macs=0.5"), "and only one of them"),
        ((), "macs or parameters or latency or blocks has to be given"),
    ],
)
def test_what_cannot_lose_blocks_is_refused(options, message, model: Path, tmp_path: Path):
    ran = edgefer(
        "compress", model, "--data=synthetic", "--out", tmp_path / "run", "--stage=blocks", *options
    )
    assert ran.code == 2
    assert message in ran.error_line
