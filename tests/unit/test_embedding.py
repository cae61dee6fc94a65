import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.embedding import MLMODEL, MOST_BYTES, attach, detach, payload_sha256
from edgefer.errors import InputError
from edgefer.protobuf import number_field

FILES = st.dictionaries(
    st.sampled_from(["edgefer.json", "labels.txt"]), st.text(max_size=300).map(str.encode), min_size=1
).map(lambda files: {**files, "golden.npz": bytes(range(256))})


def onnx_model(path):
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 2])
    weight = helper.make_tensor(
        "w", TensorProto.FLOAT, [2], np.array([2.0, 3.0], np.float32).tobytes(), raw=True
    )
    graph = helper.make_graph(
        [helper.make_node("Mul", ["image", "w"], ["out"])], "g", [image], [out], [weight]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.metadata_props.add(key="somebody", value="else")
    onnx.save(model, path)


def package(path):
    model = path / MLMODEL
    model.parent.mkdir(parents=True)
    # specificationVersion = 8, description { metadata { author: "a" } }
    model.write_bytes(b"\x08\x08" + b"\x12\x06\xa2\x06\x03\x1a\x01a")
    (path / "Manifest.json").write_text("{}")
    (model.parent / "weights").mkdir()
    (model.parent / "weights" / "weight.bin").write_bytes(bytes(64))


@pytest.fixture(scope="module", params=["tflite", "onnx", "coreml"])
def payload(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("payload") / "payload"
    if request.param == "tflite":
        path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(200)))
    else:
        (onnx_model if request.param == "onnx" else package)(path)
    return request.param, path


@settings(max_examples=20)
@given(files=FILES)
def test_what_is_attached_comes_back_and_the_payload_is_untouched(payload, tmp_path_factory, files):
    container, path = payload
    out = tmp_path_factory.mktemp("out") / "artifact"
    attach(container, path, files, out)
    found = detach(container, out)
    assert found.files == files
    assert found.payload_sha256 == payload_sha256(container, path)


def test_a_bare_payload_has_nothing_attached(payload):
    container, path = payload
    found = detach(container, path)
    assert found.files == {}
    assert found.payload_sha256 == payload_sha256(container, path)


def test_onnx_itself_sees_the_metadata_and_runs_the_model(tmp_path):
    import onnx
    import onnxruntime as ort

    onnx_model(tmp_path / "m.onnx")
    attach("onnx", tmp_path / "m.onnx", {"edgefer.json": b"{}"}, tmp_path / "a.onnx")
    properties = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert properties == {"somebody": "else", "edgefer.edgefer.json": "{}"}
    session = ort.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": np.ones((1, 2), np.float32)})[0].tolist() == [[2, 3]]


@pytest.mark.parametrize("container", ["onnx", "coreml"])
def test_a_truncated_protobuf_is_named(container, tmp_path):
    path, out = tmp_path / "payload", tmp_path / "artifact"
    (onnx_model if container == "onnx" else package)(path)
    attach(container, path, {"edgefer.json": b"x" * 500}, out)
    model = out / MLMODEL if container == "coreml" else out
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated or damaged"):
        detach(container, out)


def test_equal_input_gives_equal_bytes(payload, tmp_path):
    container, path = payload
    for name in ("a", "b"):
        attach(container, path, {"edgefer.json": b"{}", "golden.npz": b"\0"}, tmp_path / name)
    model = MLMODEL if container == "coreml" else ""
    assert (tmp_path / "a" / model).read_bytes() == (tmp_path / "b" / model).read_bytes()


@pytest.mark.parametrize("container", ["onnx", "coreml"])
def test_what_is_appended_behind_the_files_belongs_to_the_payload(container, tmp_path):
    path, out = tmp_path / "payload", tmp_path / "artifact"
    (onnx_model if container == "onnx" else package)(path)
    attach(container, path, {"edgefer.json": b"{}"}, out)
    model = out / MLMODEL if container == "coreml" else out
    model.write_bytes(
        model.read_bytes() + number_field(1, 9)
    )  # a later version, and weights could be as well
    found = detach(container, out)
    assert found.files == {"edgefer.json": b"{}"}
    assert found.payload_sha256 != payload_sha256(container, path)


def test_an_archive_that_unpacks_to_more_than_any_contract_is_not_unpacked(tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))
    attach("tflite", path, {"edgefer.json": bytes(MOST_BYTES), "more.json": b"x"}, tmp_path / "artifact")
    with pytest.raises(InputError, match="unpacks to 67108865 bytes, more than the 67108864 of any contract"):
        detach("tflite", tmp_path / "artifact")
