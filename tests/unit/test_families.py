"""The networks of keras.applications and of the face sets, their heads and their low-resolution adaptation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefer.backbones.families.face_weights import SOURCE, FaceWeights, with_face_weights
from edgefer.backbones.families.heads import HeadOptions, body_length, with_head
from edgefer.errors import InputError, SettingError, WeightsUnavailableError
from edgefer.recipe_loading import load_recipe
from edgefer.registry import discover

FAMILIES = discover("edgefer.backbones.families", "FAMILIES")
FACES = FaceWeights("faces", "faces.h5")
# Parameters below the softmax layer and layers below the head, as Keras and keras-vggface publish them.
PUBLISHED = {
    "mobilenetv2": (2_257_984, 154),
    "efficientnetv2b0": (5_919_312, 268),
    "efficientnetv2b1": (6_931_124, 332),
    "efficientnetv2b2": (8_769_374, 347),
    "resnet50": (23_587_712, 175),
    "resnet50v2": (23_564_800, 190),
    "vgg16": (14_714_688, 19),
    "vgg19": (20_024_384, 22),
    "vggface-vgg16": (14_714_688, 19),
    "facenet-resnet50": (23_561_152, 173),
    "senet50": (26_092_144, 285),
}
# S0's table: parameters in millions, with the 1000 classes of ImageNet.
S0_TABLE = {
    "mobilenetv2": 3.5,
    "efficientnetv2b0": 7.2,
    "efficientnetv2b1": 8.2,
    "efficientnetv2b2": 10.2,
    "resnet50v2": 25.6,
}
STEMS = ("mobilenetv2", "efficientnetv2b0", "resnet50v2", "facenet-resnet50")


@cache
def network(family: str, **options: Any) -> Any:
    return FAMILIES[family].build((48, 48, 3), 9, None, options)


def build(recipe_id: str) -> Any:
    recipe = load_recipe(recipe_id)
    shape = (recipe.input.height, recipe.input.width, recipe.input.channels)
    return FAMILIES[recipe.backbone.family].build(shape, 6, None, recipe.backbone.options)


def parameters_below_softmax(model: Any) -> int:
    return int(model.count_params() - model.layers[-1].count_params())


@pytest.mark.parametrize("family", PUBLISHED)
def test_a_family_is_the_published_network_and_answers_with_probabilities(family: str):
    model = network(family)
    assert (parameters_below_softmax(model), body_length(model)) == PUBLISHED[family]
    answer = np.asarray(model(np.random.default_rng(0).random((2, 48, 48, 3), np.float32)))
    assert answer.shape == (2, 9)
    assert np.allclose(answer.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("family", S0_TABLE)
def test_sizes_are_those_of_the_documents_table(family: str):
    model = network(family)
    features = model.layers[-1].kernel.shape[0]
    millions = (parameters_below_softmax(model) + 1000 * (features + 1)) / 1e6
    assert round(millions, 1) == S0_TABLE[family]


@pytest.mark.parametrize("family", STEMS)
def test_a_stem_that_keeps_all_pixels_takes_the_same_weights_to_larger_maps(family: str):
    literal, adapted = network(family), network(family, stem_stride=1, batch_norm_momentum=0.8)
    assert [w.shape for w in adapted.weights] == [w.shape for w in literal.weights]
    maps = [model.layers[body_length(model) - 1].output.shape[1:3] for model in (literal, adapted)]
    assert maps == [(2, 2), (3, 3)]
    momenta = {layer.momentum for layer in adapted.layers if hasattr(layer, "momentum")}
    assert momenta == {0.8}


def test_a_resnet_without_its_first_pool_keeps_6x6_positions():
    literal, adapted = network("resnet50v2"), network("resnet50v2", stem_stride=1, stem_pool=False)
    assert adapted.get_layer("post_relu").output.shape == (None, 6, 6, 2048)
    assert [w.shape for w in adapted.weights] == [w.shape for w in literal.weights]
    assert body_length(adapted) == body_length(literal)


def test_adaptation_takes_the_weights_over():
    from keras import Input, Model, layers

    from edgefer.backbones.families.adaptation import AdaptedOptions, adapted

    image = Input((8, 8, 1))
    body = Model(image, layers.Conv2D(2, 3, strides=2, padding="same", name="stem")(image))
    changed = adapted(body, AdaptedOptions(stem_stride=1), stem="stem")
    assert changed.output.shape == (None, 8, 8, 2)
    assert np.array_equal(changed.get_layer("stem").kernel, body.get_layer("stem").kernel)


def test_s3_main_is_the_documents_table_1():
    model = build("s3-main")
    rows = {layer.name: (layer.output.shape[1:], layer.count_params()) for layer in model.layers}
    assert rows["conv1_1"] == ((96, 96, 64), 1_792)
    assert rows["pool3"] == ((12, 12, 256), 0)
    assert rows["conv4_1"] == ((12, 12, 512), 1_180_160)
    assert rows["pool5"] == ((3, 3, 512), 0)
    assert rows["flatten"] == ((4608,), 0)
    assert rows["dense_1"] == ((4096,), 18_878_464)
    assert rows["dense_2"] == ((4096,), 16_781_312)
    assert rows["probabilities"] == ((6,), 24_582)
    assert model.count_params() == 50_399_046


def test_s3_baseline_is_the_documents_table_2():
    model = build("s3-baseline")
    assert model.get_layer("probabilities").count_params() == 27_654
    assert model.count_params() == 14_714_688 + 27_654


def test_s4_freezes_a_hundred_layers_the_input_counted_and_trains_from_the_101st_on():
    model, frozen = network("facenet-resnet50"), load_recipe("s4-facenet").backbone.frozen
    assert frozen == 100
    first, second = model.layers[frozen : frozen + 2]
    assert (first.name, second.name) == ("conv4_2_relu", "conv4_3_1x1_reduce")


def test_s1_trains_something_of_resnet50_only_if_the_input_is_counted():
    model, frozen = network("facenet-resnet50"), load_recipe("s1-resnet50").backbone.frozen
    rest = model.layers[frozen : body_length(model)]
    assert [layer.name for layer in rest if layer.weights] == ["conv5_3_1x1_increase_bn"]
    assert rest[0].weights


@pytest.mark.parametrize(("name", "left"), [("s1-resnet50", 3), ("s1-senet50", 115), ("s1-vgg16", 0)])
def test_s1_freezes_170_layers_or_all(name: str, left: int):
    backbone = load_recipe(name).backbone
    assert PUBLISHED[backbone.family][1] - backbone.frozen == left


def test_the_signal_of_a_random_vgg_does_not_fade_out():
    import keras

    model = network("vggface-vgg16")
    maps = keras.Model(model.input, model.get_layer("pool5").output)
    assert np.std(maps(np.random.default_rng(0).random((2, 48, 48, 3), np.float32))) > 0.1


def tiny_body() -> Any:
    from keras import Input, Model, layers

    image = Input((4, 4, 1), name="image")
    value = layers.Conv2D(2, 3, use_bias=False, name="conv1_3x3")(image)
    return Model(image, layers.BatchNormalization(name="conv1_3x3_bn")(value))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (HeadOptions(), ["pool", "dropout", "probabilities"]),
        (HeadOptions(pooling="flatten"), ["flatten", "dropout", "probabilities"]),
        (
            HeadOptions(head_units=(5, 4)),
            ["pool", "dense_1", "dropout_1", "dense_2", "dropout_2", "probabilities"],
        ),
    ],
)
def test_heads(options: HeadOptions, names: list[str]):
    model = with_head(tiny_body(), 3, options, "tiny")
    assert [layer.name for layer in model.layers[3:]] == names
    assert body_length(model) == 3
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("family", "option", "message"),
    [
        ("mobilenetv2", {"alpha": 0}, "alpha must be positive"),
        ("mobilenetv2", {"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ("efficientnetv2b1", {"stem_stride": 3}, "stem_stride"),
        ("efficientnetv2b2", {"batch_norm_momentum": 1.0}, "batch_norm_momentum must be between 0 and 1"),
        ("resnet50", {"stem_pool": "yes"}, "stem_pool"),
        ("vgg16", {"stem_stride": 1}, "stem_stride"),
        ("vgg19", {"head_units": [4096, 0]}, "head_units must be positive"),
        ("vggface-vgg16", {"pooling": "max"}, "pooling"),
        ("senet50", {"stem_pool": False}, "stem_pool"),
        ("facenet-resnet50", {"dropuot": 0.5}, "dropuot"),
    ],
)
def test_bad_options_are_refused(family: str, option: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message) as caught:
        FAMILIES[family].build((48, 48, 3), 9, None, option)
    assert caught.value.key.startswith("backbone.options")


@pytest.mark.parametrize("family", ["efficientnetv2b0", "resnet50v2", "vgg19", "vggface-vgg16"])
def test_too_small_an_input_is_refused(family: str):
    with pytest.raises(InputError, match="the network cannot be built"):
        FAMILIES[family].build((16, 16, 3), 9, None, {})


@pytest.mark.parametrize(
    ("family", "name", "file"),
    [
        ("vggface-vgg16", "vggface", "rcmalli_vggface_tf_notop_vgg16.h5"),
        ("facenet-resnet50", "vggface2", "rcmalli_vggface_tf_notop_resnet50.h5"),
        ("senet50", "vggface2", "rcmalli_vggface_tf_notop_senet50.h5"),
    ],
)
def test_face_weights_that_cannot_be_fetched_may_be_brought(
    family: str, name: str, file: str, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    def unreachable(*args: Any, **_: Any) -> str:
        asked.append(args)
        raise Exception(f"URL fetch failure on {args[1]}: no such host")

    monkeypatch.setattr("keras.utils.get_file", unreachable)
    with pytest.raises(WeightsUnavailableError, match=f"{name} weights could not be fetched.*path of {file}"):
        FAMILIES[family].build((48, 48, 3), 9, name, {})
    assert asked == [(file, f"{SOURCE}/{file}")]


def test_face_weights_are_fetched_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    layers = {"conv1/3x3": [(3, 3, 1, 2)], "conv1/3x3/bn": [(2,)] * 4}
    file = write_keras2(tmp_path / "faces.h5", **layers)
    monkeypatch.setattr("keras.utils.get_file", lambda *_, **__: str(file))
    body = with_face_weights(tiny_body, FACES.name, FACES)
    assert [float(np.mean(weight)) for weight in body.get_weights()] == [1, 2, 3, 4, 5]


def test_face_weights_are_found_by_name_in_any_order(tmp_path: Path):
    file = write_keras2(
        tmp_path / "own.h5", fc8=[(3, 9)], **{"conv1/3x3/bn": [(2,)] * 4, "conv1/3x3": [(3, 3, 1, 2)]}
    )
    body = tiny_body()
    with_face_weights(lambda: body, str(file), FACES)
    assert [float(np.mean(weight)) for weight in body.get_weights()] == [6, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"conv1/3x3": [(3, 3, 1, 2)]}, "do not fit: layer conv1_3x3_bn has .* the file \\[\\]"),
        (
            {"conv1/3x3": [(3, 3, 3, 2)], "conv1/3x3/bn": [(2,)] * 4},
            r"layer conv1_3x3 has \[\(3, 3, 1, 2\)\]",
        ),
    ],
)
def test_face_weights_of_another_network_are_refused(layers: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        with_face_weights(tiny_body, str(write_keras2(tmp_path / "own.h5", **layers)), FACES)


@pytest.mark.parametrize("content", [None, b"no HDF5"])
def test_a_file_that_holds_no_weights_is_refused(content: bytes | None, tmp_path: Path):
    if content is not None:
        (tmp_path / "own.h5").write_bytes(content)
    with pytest.raises(InputError, match=r"own\.h5 cannot be read as Keras HDF5 weights.*faces\.h5"):
        with_face_weights(tiny_body, str(tmp_path / "own.h5"), FACES)


def write_keras2(path: Path, **layers: list[tuple[int, ...]]) -> Path:
    """A file as Keras 2 wrote weights; the arrays are filled with 1, 2, … in the order given."""
    import h5py

    value = 0
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, shapes in layers.items():
            group = file.require_group(name)
            names = [f"{name}/weight_{number}:0" for number in range(len(shapes))]
            group.attrs["weight_names"] = [each.encode() for each in names]
            for each, shape in zip(names, shapes, strict=True):
                value += 1
                group.create_dataset(each, data=np.full(shape, value, np.float32))
    return path
