import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from edgefer.artifact import open_artifact
from edgefer.contract import GOLDEN_FILE, LABELS_FILE, MANIFEST_FILE, differences, from_differences
from edgefer.embedding import attach, detach
from edgefer.errors import InputError, VerificationError
from tests.unit.artifact_samples import CLASSES, make


@pytest.fixture
def tiny(tmp_path):
    return make(tmp_path)


def rewritten(tiny, tmp_path, **files):
    """The same payload with some of its attached files exchanged."""
    found = detach("onnx", tiny.path).files
    out = tmp_path / "other.onnx"
    attach("onnx", tmp_path / "payload.onnx", {**found, **files}, out)
    return out


def test_what_was_written_is_what_is_opened(tiny):
    again = open_artifact(tiny.path)
    assert again.manifest == tiny.manifest
    assert again.sha256 == tiny.sha256
    assert again.bytes == tiny.path.stat().st_size
    assert again.golden.inputs.shape == (4, 2, 2, 1)


@pytest.mark.usefixtures("tiny")
def test_nothing_else_is_left_in_the_folder(tmp_path):
    assert {path.name for path in tmp_path.iterdir()} == {"payload.onnx", "tiny.onnx"}


def test_other_golden_tensors_are_noticed(tiny, tmp_path):
    (tmp_path / "b").mkdir()
    foreign = make(tmp_path / "b", outputs=tiny.golden.outputs[::-1].copy())
    golden = detach("onnx", foreign.path).files[GOLDEN_FILE]
    with pytest.raises(VerificationError, match="golden tensors"):
        open_artifact(rewritten(tiny, tmp_path, **{GOLDEN_FILE: golden}))


def test_other_labels_are_noticed(tiny, tmp_path):
    swapped = "\n".join(reversed(CLASSES)).encode() + b"\n"
    with pytest.raises(VerificationError, match="different labels"):
        open_artifact(rewritten(tiny, tmp_path, **{LABELS_FILE: swapped}))


def test_an_unknown_key_in_the_contract_is_refused(tiny, tmp_path):
    contract = msgspec.json.decode(detach("onnx", tiny.path).files[MANIFEST_FILE])
    changed = msgspec.json.encode({**contract, "colour": "green"})
    with pytest.raises(InputError, match="contract cannot be read"):
        open_artifact(rewritten(tiny, tmp_path, **{MANIFEST_FILE: changed}))


def test_golden_tensors_hold_no_pickles(tiny, tmp_path):
    import io

    buffer = io.BytesIO()
    np.savez(buffer, input_differences=np.array([object()], dtype=object), outputs=tiny.golden.outputs)
    with pytest.raises(InputError, match="contract cannot be read"):
        open_artifact(rewritten(tiny, tmp_path, **{GOLDEN_FILE: buffer.getvalue()}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.onnx", b"", "carries no edgefer contract"),
        ("m.tflite", b"12345678", "not a TFLite file"),
        ("m.bin", b"", "not an artifact"),
    ],
)
def test_what_is_no_artifact_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_artifact(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_artifact(tmp_path / "m.onnx")


@given(arrays(np.uint8, array_shapes(min_dims=4, max_dims=4, min_side=1, max_side=6)))
def test_golden_images_come_back_from_their_differences(images):
    assert np.array_equal(from_differences(differences(images)), images)
