"""Formats on small networks: what a converter refuses, and what it must not."""

from pathlib import Path

import numpy as np
import pytest

from edgefer.backbones.base import Backbone
from edgefer.errors import ConversionError
from edgefer.formats.base import Calibration
from edgefer.formats.export import export_backbone
from edgefer.spec import InputSpec, LabelSet

keras = pytest.importorskip("keras")
shape_inference = pytest.importorskip("onnxruntime.quantization.shape_inference")


GRAY = InputSpec(height=8, width=8, channels=1, range=(0.0, 1.0))
# Another mean a channel and zero padding: what no convolution can take in.
CAFFE = InputSpec(
    height=8, width=8, channels=3, color="gray", mean=(0.36, 0.41, 0.51), std=(1 / 255, 1 / 255, 1 / 255)
)


def exported(scratch: Path, spec: InputSpec = GRAY, activation: str | None = None):
    image = keras.Input((8, 8, spec.channels))
    value = keras.layers.Conv2D(4, 3, padding="same", activation=activation)(image)
    value = keras.layers.GlobalAveragePooling2D()(value)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(value))
    scratch.mkdir()
    backbone = Backbone(model, spec, LabelSet(source="two", names=("a", "b")), (), "small", "")
    return export_backbone(backbone, "raw", scratch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_failed_shape_inference_is_one_line_and_leaves_the_current_folder_clean(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from edgefer.formats.onnx import FORMATS

    def fail(*_: object) -> None:
        Path("sym_shape_infer_temp.onnx").touch()
        raise Exception("Incomplete symbolic shape inference\nsecond line")

    monkeypatch.setattr(shape_inference, "quant_pre_process", fail)
    [int8] = [form for form in FORMATS if form.id == "onnx-int8"]
    calibration = Calibration(np.zeros((2, 8, 8, 1), np.uint8), {})
    with pytest.raises(ConversionError) as caught:
        int8.export(exported(tmp_path / "scratch"), calibration, "uint8")
    assert "(Incomplete symbolic shape inference)" in caught.value.message
    assert list(here.iterdir()) == []
    assert Path.cwd() == here


def test_pixels_that_are_mapped_in_front_of_the_network_come_raw(tmp_path: Path):
    from edgefer.formats.tflite import FORMATS

    export = exported(tmp_path / "scratch", CAFFE)
    assert not export.folded
    [int8] = [form for form in FORMATS if form.id == "tflite-int8"]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
    assert int8.export(export, Calibration(pixels, {}), "uint8").io.input.scale == pytest.approx(1)


def test_exact_gelu_is_in_onnxs_own_operations(tmp_path: Path):
    import onnxruntime
    import tensorflow as tf

    from edgefer.formats.onnx import FORMATS

    export = exported(tmp_path / "scratch", activation="gelu")
    [fp32] = [form for form in FORMATS if form.id == "onnx-fp32"]
    session = onnxruntime.InferenceSession(str(fp32.export(export, None, "uint8").payload))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
    (found,) = session.run(None, {"image": pixels})
    exact = tf.saved_model.load(str(export.directory)).signatures["uint8"](image=tf.constant(pixels))
    assert np.allclose(found, exact["probabilities"], atol=1e-6)
