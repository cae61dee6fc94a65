import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from edgefer.backbones.contract import Statement
from edgefer.errors import InputError, UntrustedCodeError
from edgefer.spec import InputSpec, LabelSet

keras = pytest.importorskip("keras")

THREE = LabelSet(source="three", names=("a", "b", "c"))
SAID = Statement(range="0..1", labels=THREE)


def network(activation="softmax"):
    image = keras.Input((8, 8, 1), name="image")
    value = keras.layers.Conv2D(3, 3, name="conv")(image)
    value = keras.layers.GlobalAveragePooling2D()(value)
    return keras.Model(image, keras.layers.Dense(3, activation=activation, name="out")(value))


@pytest.fixture
def path(tmp_path):
    network().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def load(path, said=SAID, **options):
    from edgefer.backbones.loading import load_backbone

    return load_backbone(path, said, **options)


def test_what_the_user_states_becomes_the_contract(path):
    backbone = load(path)
    assert backbone.input == InputSpec(height=8, width=8, channels=1, range=(0.0, 1.0))
    assert backbone.labels == THREE
    assert backbone.name == "model"


@pytest.mark.parametrize("name", ["model.edgefer.json", "edgefer.json"])
def test_a_sidecar_says_it_too_and_the_user_goes_before_it(path, name):
    said = {"input": {"height": 8, "width": 8, "channels": 1, "range": [-1, 1]},
            "labels": {"source": "three", "names": ["a", "b", "c"]}}  # fmt: skip
    path.with_name(name).write_text(json.dumps(said))
    assert load(path, Statement()).input.range == (-1, 1)
    assert load(path, Statement(range="0..255")).input.range == (0, 255)


SAID_BESIDE = {
    "input": {"height": 8, "width": 8, "channels": 3, "color": "rgb", "range": [-1, 1]},
    "labels": {"source": "three", "names": ["a", "b", "c"]},
}


@pytest.fixture
def colour(tmp_path):
    """A model on colour images, with a sidecar."""
    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    keras.Model(image, keras.layers.Dense(3, "softmax")(pooled)).save(tmp_path / "model.keras")
    (tmp_path / "model.edgefer.json").write_text(json.dumps(SAID_BESIDE))
    return tmp_path / "model.keras"


@pytest.mark.parametrize(
    ("said", "color", "range_"),
    [
        (Statement(), "rgb", (-1, 1)),
        (Statement(color="bgr"), "bgr", (-1, 1)),
        (Statement(range="0..1"), "rgb", (0, 1)),
        (Statement(range="0..1", color="gray"), "gray", (0, 1)),
    ],
)
def test_each_word_of_the_user_goes_before_the_sidecars_own(colour, said, color, range_):
    found = load(colour, said).input
    assert (found.color, found.range) == (color, range_)


def test_a_colour_that_the_network_cannot_take_is_named(path):
    with pytest.raises(InputError, match=r"model\.keras: color 'rgb' needs 3 channels"):
        load(path, replace(SAID, color="rgb"))


def test_classes_in_another_order_than_the_sidecars_are_refused(colour):
    load(colour, Statement(labels=LabelSet(source="folder", names=("a", "b", "c"))))
    with pytest.raises(InputError, match="its sidecar says that its classes are a, b, c, in this order"):
        load(colour, Statement(labels=LabelSet(source="folder", names=("a", "c", "b"))))


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_a_network_saved_in_half_precision_computes_in_float32(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        half = network()
    finally:
        keras.config.set_dtype_policy("float32")
    half.save(tmp_path / "model.keras")
    backbone = load(tmp_path / "model.keras")
    plain = network()
    plain.set_weights(half.get_weights())
    pixels = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    assert np.array_equal(np.asarray(backbone.model(pixels)), np.asarray(plain(pixels)))
    assert backbone.lineage[-1].config == {"reason": f"it was saved computing in {policy}"}


def test_a_sidecar_with_an_unknown_key_is_refused(path):
    path.with_name("edgefer.json").write_text('{"imput": {}}')
    with pytest.raises(InputError, match=r"edgefer\.json: not a sidecar"):
        load(path)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Statement(labels=THREE), "says nothing about its input range"),
        (Statement(range="0..1"), "says nothing about its classes"),
        (
            Statement(range="0..1", labels=LabelSet(source="two", names=("a", "b"))),
            "3 outputs, the label set two has 2",
        ),
    ],
)
def test_a_foreign_model_has_to_be_described(path, said, message):
    with pytest.raises(InputError, match=message):
        load(path, said)


def test_a_missing_and_a_truncated_file_are_named(path):
    with pytest.raises(InputError, match="no such file"):
        load(path.with_name("other.keras"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"model\.keras: truncated or not a Keras 3 file"):
        load(path)


def test_a_damaged_member_is_named(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model.weights.h5")
    content[info.header_offset + 200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.weights\.h5 inside it is damaged"):
        load(path)


def test_nan_weights_are_named(tmp_path):
    model = network()
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[0, 0, 0, 1] = np.nan
    model.get_layer("conv").set_weights([kernel, bias])
    model.save(tmp_path / "nan.keras")
    with pytest.raises(InputError, match="'conv/kernel' holds NaN or infinity"):
        load(tmp_path / "nan.keras")


def test_code_is_refused_unless_trusted(tmp_path):
    image = keras.Input((8, 8, 1))
    value = keras.layers.Lambda(lambda x: x + 0.0, output_shape=(8, 8, 1))(image)
    value = keras.layers.GlobalAveragePooling2D()(value)
    path = tmp_path / "model.keras"
    keras.Model(image, keras.layers.Dense(3, activation="softmax")(value)).save(path)
    with pytest.raises(UntrustedCodeError, match="--trust"):
        load(path)
    assert load(path, trust=True).labels == THREE


def test_a_class_from_outside_keras_is_refused_before_it_is_imported(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1].update(module="somebody.elses.code", class_name="Evil")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(UntrustedCodeError, match=r"somebody\.elses\.code\.Evil"):
        load(path)


def test_logits_are_refused_unless_said(tmp_path):
    from edgefer.backbones.evaluation import probabilities

    path = tmp_path / "model.keras"
    network(activation=None).save(path)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    with pytest.raises(InputError, match="--logits"):
        probabilities(load(path), pixels)
    said = Statement(range="0..1", labels=THREE, logits=True)
    outputs = probabilities(load(path, said), pixels)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)


def test_a_file_that_unpacks_to_gigabytes_is_refused(path, monkeypatch):
    monkeypatch.setattr("edgefer.backbones.loading.LARGEST_BYTES", 1 << 20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", bytes(2 << 20))
    with pytest.raises(InputError, match="which no trained network does"):
        load(path)


class TestSavedModel:
    def save(self, tmp_path, body=lambda x: x):
        import tensorflow as tf

        model = network()
        archive = keras.export.ExportArchive()
        archive.track(model)
        signature = [tf.TensorSpec((None, 8, 8, 1), tf.float32)]
        archive.add_endpoint("serving_default", lambda x: model(body(x), training=False), signature)
        archive.write_out(str(tmp_path / "saved"), verbose=False)
        return model, tmp_path / "saved"

    def test_it_answers_like_the_model_it_was_made_from(self, tmp_path):
        from edgefer.backbones.evaluation import probabilities

        model, path = self.save(tmp_path)
        pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
        backbone = load(path)
        assert not backbone.trainable
        expected = np.asarray(model(pixels.astype(np.float32) / 255))
        np.testing.assert_allclose(probabilities(backbone, pixels), expected, atol=1e-6)

    @staticmethod
    def save_without_keras(tmp_path, kernel):
        import tensorflow as tf

        module = tf.Module()
        module.kernel = tf.Variable(kernel, name="kernel")
        answer = tf.function(lambda x: tf.nn.softmax(tf.reshape(x, (-1, 64)) @ module.kernel))
        signature = answer.get_concrete_function(tf.TensorSpec((None, 8, 8, 1), tf.float32))
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signature)
        return tmp_path / "saved"

    def test_keras_need_not_have_written_it(self, tmp_path):
        from edgefer.backbones.evaluation import probabilities

        path = self.save_without_keras(tmp_path, np.eye(64, 3, dtype=np.float32))
        pixels = np.zeros((2, 8, 8, 1), np.uint8)
        pixels[:, 0, 2] = 255
        third = np.e / (np.e + 2)
        np.testing.assert_allclose(probabilities(load(path), pixels)[:, 2], third, atol=1e-6)

    def test_nan_weights_are_named_without_keras_too(self, tmp_path):
        path = self.save_without_keras(tmp_path, np.full((64, 3), np.nan, np.float32))
        with pytest.raises(InputError, match="weight 'kernel:0' holds NaN"):
            load(path)

    @pytest.mark.parametrize(
        ("op", "reach"),
        [
            ("WriteFile", lambda tf, path: tf.io.write_file(path, "x")),
            ("ReadFile", lambda tf, path: tf.io.read_file(path)),
            ("MatchingFiles", lambda tf, path: tf.io.matching_files(path)),
            ("TextLineDataset", lambda tf, path: tf.raw_ops.TextLineDataset(
                filenames=path, compression_type="", buffer_size=0)),
            ("DatasetToTFRecord", lambda tf, path: tf.raw_ops.DatasetToTFRecord(
                input_dataset=tf.data.Dataset.from_tensors("x")._variant_tensor, filename=path, compression_type="")),
            ("SaveV2", lambda tf, path: tf.raw_ops.SaveV2(
                prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[tf.ones(3)])),
            ("RestoreV2", lambda tf, path: tf.raw_ops.RestoreV2(
                prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])),
            ("MergeV2Checkpoints", lambda tf, path: tf.raw_ops.MergeV2Checkpoints(
                checkpoint_prefixes=[path], destination_prefix=path)),
            ("PrintV2", lambda tf, path: tf.print("x", output_stream=f"file://{path}")),
        ],
    )  # fmt: skip
    def test_ops_that_touch_files_are_refused(self, tmp_path, op, reach):
        import tensorflow as tf

        @tf.function
        def leak(x):
            reach(tf, str(tmp_path / "never-written"))
            return tf.identity(x)

        _, path = self.save(tmp_path, leak)
        with pytest.raises(UntrustedCodeError, match=op):
            load(path)

    def test_a_saver_that_answering_comes_to_is_refused(self, tmp_path):
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

        from edgefer.backbones.safety import refuse_code_in_savedmodel

        _, path = self.save(tmp_path)
        refuse_code_in_savedmodel(path)
        saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
        meta = saved.meta_graphs[0]
        saver = meta.saver_def.save_tensor_name
        meta.signature_def["serving_default"].outputs["output_0"].name = saver
        (path / "saved_model.pb").write_bytes(saved.SerializeToString())
        with pytest.raises(UntrustedCodeError, match="MergeV2Checkpoints"):
            refuse_code_in_savedmodel(path)

    def test_what_keras_2_and_sessions_save_is_let_in(self, tmp_path):
        import tensorflow as tf
        import tf_keras

        from edgefer.backbones.safety import refuse_code_in_savedmodel

        layers = tf_keras.layers
        image = layers.Input((8, 8, 1))
        value = layers.Dropout(0.5)(layers.BatchNormalization()(layers.RandomFlip()(image)))
        value = layers.LSTM(3)(layers.Reshape((8, 8))(value))
        old = tf_keras.Model(image, layers.Softmax()(value))
        old.compile("adam", "mse")
        old.save(tmp_path / "keras2", save_format="tf")
        refuse_code_in_savedmodel(tmp_path / "keras2")
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            given = tf.compat.v1.placeholder(tf.float32, (None, 64))
            weights = tf.compat.v1.get_variable("weights", (64, 3))
            answer = tf.nn.softmax(given @ weights)
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.saved_model.simple_save(
                session, str(tmp_path / "session"), {"x": given}, {"y": answer}
            )
        refuse_code_in_savedmodel(tmp_path / "session")

    def test_an_empty_folder_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"no saved_model\.pb"):
            load(tmp_path)


def test_macs_are_counted_by_hand():
    from edgefer.backbones.graph import cost_of

    cost = cost_of(network())
    # conv: 6x6 positions x 3x3x1 kernel x 3 filters; dense: 3 x 3
    assert cost.macs == 36 * 9 * 3 + 9
    assert cost.parameters == (27 + 3) + (9 + 3)


def test_macs_of_attention_are_those_of_its_two_products():
    from edgefer.backbones.graph import cost_of

    tokens = keras.Input((9, 4))
    keys = keras.layers.EinsumDense("btd,de->bte", (9, 6))(tokens)
    # Query, value, key: 9 tokens of 6, 4 and 6 numbers.
    attended = keras.layers.Attention()([keys, tokens, keys])
    cost = cost_of(keras.Model(tokens, attended))
    assert cost.macs == 9 * 4 * 6 + 9 * 9 * 6 + 9 * 9 * 4


def attention_macs(layer, *given, **named):
    from edgefer.backbones.graph import cost_of

    tokens = keras.Input((9, 8))
    sizes = {"query": tokens, "memory": tokens[:, :4], "value": tokens[:, :4, :6], "key": tokens[:, :4, :5]}
    given, named = [sizes[name] for name in given], {name: sizes[size] for name, size in named.items()}
    return cost_of(keras.Model(tokens, layer(*given, **named))).macs


def test_macs_of_attention_with_heads_are_those_of_its_projections_and_products():
    layer = keras.layers.MultiHeadAttention(2, 3, value_dim=7)
    projections = 9 * 8 * 2 * 3 + 4 * 5 * 2 * 3 + 4 * 6 * 2 * 7 + 9 * 2 * 7 * 8
    expected = projections + 2 * 9 * 4 * (3 + 7)
    assert attention_macs(layer, query="query", value="value", key="key") == expected


def test_macs_of_attention_with_grouped_heads():
    layer = keras.layers.GroupQueryAttention(3, 4, 2)
    projections = 9 * 8 * 4 * 3 + 2 * (4 * 8 * 2 * 3) + 9 * 4 * 3 * 8
    assert attention_macs(layer, "query", "memory") == projections + 4 * 9 * 4 * (3 + 3)


def test_macs_of_attention_along_rows_only():
    from edgefer.backbones.graph import cost_of

    image = keras.Input((5, 3, 8))
    along = keras.layers.MultiHeadAttention(2, 4, attention_axes=2)(image, image)
    assert cost_of(keras.Model(image, along)).macs == 4 * 15 * 8 * 2 * 4 + 2 * 15 * 3 * (4 + 4)


def test_attention_with_heads_costs_what_it_costs_written_out():
    from edgefer.backbones.graph import cost_of

    tokens = keras.Input((9, 8))
    query, value, key = (keras.layers.Dense(6)(tokens) for _ in range(3))
    written = keras.layers.Dense(8)(keras.layers.Attention()([query, value, key]))
    headed = keras.layers.MultiHeadAttention(1, 6)(tokens, tokens)
    one, other = (cost_of(keras.Model(tokens, output)) for output in (headed, written))
    assert (one.macs, one.parameters) == (other.macs, other.parameters)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (keras.layers.Conv1D(6, 3), 7 * 3 * 8 * 6),
        (keras.layers.Conv1D(6, 3, groups=2, padding="same"), 9 * 3 * 4 * 6),
        (keras.layers.DepthwiseConv1D(3), 7 * 3 * 8),
        (keras.layers.SeparableConv1D(6, 3), 7 * (3 * 8 + 8 * 6)),
        (keras.layers.Conv1DTranspose(6, 3, strides=2), 9 * 3 * 8 * 6),
    ],
    ids=lambda value: type(value).__name__,
)
def test_macs_of_convolutions_along_one_axis(layer, macs):
    from edgefer.backbones.graph import cost_of

    tokens = keras.Input((9, 8))
    assert cost_of(keras.Model(tokens, layer(tokens))).macs == macs


def test_macs_of_an_einsum_over_rows():
    from edgefer.backbones.graph import cost_of

    image = keras.Input((8, 5, 2))
    resized = keras.layers.EinsumDense("bhwc,hH->bHwc", (3, 5, 2))(image)
    assert cost_of(keras.Model(image, resized)).macs == 3 * 5 * 2 * 8


def test_another_range_that_scores_clearly_better_stops_the_command():
    from dataclasses import replace

    from edgefer.backbones.base import Backbone
    from edgefer.backbones.evaluation import refuse_wrong_range

    image = keras.Input((8, 8, 1))
    value = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(image))
    dense = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(image, dense(value))
    # Classes by brightness in -1..1: below -0.5, around 0, above 0.5.
    dense.set_weights([np.array([[-20.0, 0.0, 20.0]], np.float32), np.array([-5.0, 5.0, -5.0], np.float32)])
    levels = np.array([20, 128, 235], np.uint8).repeat(20)
    pixels = np.broadcast_to(levels[:, None, None, None], (60, 8, 8, 1)).copy()
    labels = np.arange(3).repeat(20)
    right = InputSpec(height=8, width=8, channels=1, range=(-1.0, 1.0))
    backbone = Backbone(model, right, THREE, (), "bright", "0")
    refuse_wrong_range(backbone, pixels, labels)
    wrong = replace(backbone, input=InputSpec(height=8, width=8, channels=1, range=(0.0, 255.0)))
    with pytest.raises(InputError, match=r"--range -1\.\.1"):
        refuse_wrong_range(wrong, pixels, labels)
