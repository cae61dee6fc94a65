"""How a network that was cut down is timed: real files on a real runtime, without a verified artifact."""

import msgspec
import numpy as np
import pytest

from edgefer.compression.base import Pace
from edgefer.datasets.labels import LABEL_SETS
from edgefer.datasets.loading import load
from edgefer.errors import InputError
from edgefer.registry import discover
from edgefer.spec import InputSpec

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

from edgefer import pacing  # noqa: E402
from edgefer.backbones.base import Backbone  # noqa: E402
from edgefer.bench.measure import Plan  # noqa: E402

FORMATS = discover("edgefer.formats", "FORMATS")
SPEC = InputSpec(height=24, width=24, channels=1, range=(0.0, 1.0))
# Eight rounds give an interval.
QUICK = Plan(min_seconds=0.16, min_iterations=8, windows=3, max_warmup_seconds=0.2, block_seconds=0.02)


def backbone(depth: int) -> Backbone:
    image = keras.Input((24, 24, 1), name="image")
    value = image
    for number in range(depth):
        value = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name=f"conv{number}")(value)
    value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    model = keras.Model(image, keras.layers.Dense(9, activation="softmax", name="answers")(value), name="toy")
    return Backbone(model, SPEC, LABEL_SETS["ferplus-9"], (), "toy", "")


@pytest.fixture
def quick(tmp_path):
    faces = load("synthetic", None, size=(24, 24))
    return lambda form: pacing.Stopwatch(FORMATS[form], faces, tmp_path / "latency", QUICK)


def test_a_network_with_little_of_the_work_takes_less_time_and_is_not_timed_again(quick, monkeypatch):
    """One convolution of twenty is left, and a run lasts longer than the turns of a busy machine's processes."""
    deep, flat = backbone(20), backbone(1)
    found = quick("tflite-int8")(deep, flat, 64)
    assert found.ratio < 0.5
    assert found.high is None or found.low < found.ratio < found.high
    monkeypatch.setattr(pacing, "latency", None)
    for layer in flat.model.layers:  # other weights, the same network
        layer.set_weights([np.ones_like(one) for one in layer.get_weights()])
    assert quick("tflite-int8")(deep, flat, 64) == found


def test_another_batch_is_another_question_and_what_was_answered_is_kept(quick, tmp_path):
    stopwatch, whole, cut = quick("tflite-fp32"), backbone(3), backbone(2)
    found = [stopwatch(whole, cut), stopwatch(whole, cut, 3)]
    kept = [msgspec.json.decode(file.read_bytes(), type=Pace) for file in (tmp_path / "latency").iterdir()]
    assert len(kept) == 2
    assert all(one in kept for one in found)


def test_a_format_that_this_processor_does_not_take_is_refused(quick):
    with pytest.raises(InputError, match="target cpu does not take coreml"):
        quick("coreml-fp32")(backbone(3), backbone(2))
