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

    def fail(*_: object, **__: object) -> None:
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


def converted(export, name: str, method: str = "minmax") -> Path:
    from edgefer.pipeline import known_formats

    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.uint8)
    return known_formats()[name].export(export, Calibration(pixels, {}, method), "uint8").payload


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [
        ("onnxruntime.transformers.float16", "convert_float_to_float16", "onnx-fp16"),
        ("onnxruntime.quantization", "quantize_static", "onnx-int8"),
    ],
)
def test_whatever_onnx_runtime_raises_is_one_line(
    module: str, function: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(f"{module}.{function}", fail)
    with pytest.raises(ConversionError, match=r"ONNX Runtime cannot .* \(AssertionError\)"):
        converted(exported(tmp_path / "scratch"), name)


def grouped():
    image = keras.Input((8, 8, 1))
    value = keras.layers.Conv2D(4, 3)(image)
    value = keras.layers.GlobalAveragePooling2D()(
        keras.layers.Conv2D(6, 3, groups=2, activation="relu")(value)
    )
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(value))


def attentive():
    image = keras.Input((8, 8, 1))
    value = keras.layers.Reshape((16, 4))(keras.layers.Conv2D(4, 2, strides=2)(image))
    value = keras.layers.Flatten()(keras.layers.MultiHeadAttention(2, 3)(value, value))
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(value))


@pytest.mark.parametrize("build", [grouped, attentive])
@pytest.mark.parametrize("name", ["onnx-int8", "coreml-w8a8", "tflite-int8"])
def test_grouped_convolutions_and_attention_are_quantized_in_every_container(
    build, name: str, tmp_path: Path
):
    backbone = Backbone(build(), GRAY, LabelSet(source="two", names=("a", "b")), (), "small", "")
    assert converted(export_backbone(backbone, "raw", tmp_path), name).exists()


def normalised():
    image = keras.Input((8, 8, 1))
    value = keras.layers.LayerNormalization(name="norm")(keras.layers.Conv2D(4, 3)(image))
    value = keras.layers.GlobalAveragePooling2D()(value)
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(value))


def test_what_a_converter_leaves_in_float_is_told(tmp_path: Path):
    from edgefer.datasets.loading import load
    from edgefer.pipeline import Options, choose_formats, convert

    dataset = load("synthetic", None, size=(8, 8), channels=1)
    made = {}
    for name, build in (("plain", grouped), ("normalised", normalised)):
        model = build()
        labels = dataset.labels
        head = keras.layers.Dense(len(labels), activation="softmax")(model.layers[-2].output)
        backbone = Backbone(keras.Model(model.inputs[0], head), GRAY, labels, (), name, "")
        options = Options(calibration=20, trust_range=True)
        formats = choose_formats("tflite-int8,tflite-fp32")
        made[name] = convert(backbone, formats, dataset, dataset, tmp_path, options, lambda *_: None)
    assert [one.note for one in made["plain"]] == ["", ""]
    integer, floating = (one.record for one in made["normalised"])
    assert "the converter left operations in float: " in integer.note
    assert "norm_1/" in integer.note
    assert floating.note == ""
