import io
import zipfile
from hashlib import sha256

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import data, integers, sampled_from
from msgspec.structs import replace

from edgefer.agreement import compare
from edgefer.artifact import open_artifact, write_artifact
from edgefer.contract import (
    CHECKSUM_FILE,
    GOLDEN_FILE,
    LABELS_FILE,
    MANIFEST_FILE,
    differences,
    from_differences,
    golden_sha256,
    open_on_device,
)
from edgefer.embedding import MOST_BYTES, attach, detach
from edgefer.errors import EdgeferError, InputError, VerificationError
from edgefer.protobuf import field
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


def bare(tiny, tmp_path, **files):
    """The same without the contract's own hash, which who changes a contract would change too."""
    return rewritten(tiny, tmp_path, **{**files, CHECKSUM_FILE: b""})


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


@pytest.mark.parametrize("read", [open_artifact, open_on_device])
def test_a_contract_of_another_schema_is_told_by_its_number(tiny, tmp_path, read):
    contract = msgspec.json.decode(detach("onnx", tiny.path).files[MANIFEST_FILE])
    changed = msgspec.json.encode({**contract, "schema": 2, "colour": "green"})
    with pytest.raises(InputError, match="contract schema 2, this edgefer reads 1"):
        read(rewritten(tiny, tmp_path, **{MANIFEST_FILE: changed}))


@pytest.mark.parametrize("contract", [b"{}", b"[]", b"{"])
def test_what_is_no_contract_cannot_be_read(tiny, tmp_path, contract):
    with pytest.raises(InputError, match="contract cannot be read"):
        open_artifact(rewritten(tiny, tmp_path, **{MANIFEST_FILE: contract}))


def test_a_format_without_a_tolerance_is_named(tiny):
    with pytest.raises(InputError, match="unknown format 'onnx-int4'"):
        compare("onnx-int4", tiny.golden.outputs, tiny.golden.outputs)


def test_a_changed_figure_in_the_contract_is_noticed(tiny, tmp_path):
    contract = detach("onnx", tiny.path).files[MANIFEST_FILE]
    changed = contract.replace(b'"name":"tiny"', b'"name":"tine"')
    assert changed != contract
    with pytest.raises(VerificationError, match="contract does not have the hash"):
        open_artifact(rewritten(tiny, tmp_path, **{MANIFEST_FILE: changed}))


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    """The same contract behind each kind of file, with the file's bytes and where the contract begins."""
    folder = tmp_path_factory.mktemp("containers")
    made = make(folder)
    payload = folder / "payload.tflite"
    payload.write_bytes(b"\0\0\0\0TFL3" + bytes(24))
    manifest = replace(made.manifest, payload_sha256=sha256(payload.read_bytes()).hexdigest())
    files = [made.path, write_artifact(folder / "tiny.tflite", payload, manifest, made.golden).path]
    begins = [(folder / f"payload{file.suffix}").stat().st_size for file in files]
    return [(file, file.read_bytes(), begin) for file, begin in zip(files, begins, strict=True)]


@given(data())
def test_a_flipped_bit_is_an_error_or_changes_nothing(containers, draw):
    file, content, begin = draw.draw(sampled_from(containers))
    place, bit = draw.draw(integers(begin, len(content) - 1)), draw.draw(integers(0, 7))
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    other = file.with_stem("damaged")
    other.write_bytes(damaged)
    whole = open_artifact(file)
    try:
        found = open_artifact(other)
    except EdgeferError:
        return
    assert found.manifest == whole.manifest
    assert np.array_equal(found.golden.inputs, whole.golden.inputs)


def test_golden_tensors_hold_no_pickles(tiny, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, input_differences=np.array([object()], dtype=object), outputs=tiny.golden.outputs)
    with pytest.raises(InputError, match="contract cannot be read"):
        open_artifact(rewritten(tiny, tmp_path, **{GOLDEN_FILE: buffer.getvalue()}))


@pytest.mark.parametrize("read", [open_artifact, open_on_device])
@pytest.mark.parametrize(
    ("end", "message"),
    [
        ({"dtype": "flaot32"}, "dtype 'flaot32' is none of"),
        ({"scale": 0.5, "zero_point": 0}, "scale 0.5 and zero point 0 quantize no float32"),
        ({"dtype": "int8", "scale": 0.0, "zero_point": 0}, "quantize no int8"),
    ],
)
def test_an_end_that_no_file_has_is_refused(tiny, tmp_path, read, end, message):
    contract = msgspec.json.decode(detach("onnx", tiny.path).files[MANIFEST_FILE])
    contract["io"]["output"].update(end)
    with pytest.raises(InputError, match=message):
        read(bare(tiny, tmp_path, **{MANIFEST_FILE: msgspec.json.encode(contract)}))


@pytest.mark.parametrize("shape", [(12,), (4, 4), (3, 3)])
def test_golden_tensors_that_are_no_images_and_their_answers_are_refused(tiny, tmp_path, shape):
    outputs = np.zeros(shape, np.float32)
    contract = msgspec.json.decode(detach("onnx", tiny.path).files[MANIFEST_FILE])
    contract["golden"]["outputs_sha256"] = golden_sha256(outputs)
    buffer = io.BytesIO()
    np.savez(buffer, input_differences=differences(tiny.golden.inputs), outputs=outputs)
    files = {MANIFEST_FILE: msgspec.json.encode(contract), GOLDEN_FILE: buffer.getvalue()}
    with pytest.raises(VerificationError, match="no images of 2x2 with probabilities of 3 classes"):
        open_artifact(bare(tiny, tmp_path, **files))


def test_golden_tensors_that_unpack_to_gigabytes_are_refused(tiny, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input_differences.npy", bytes(MOST_BYTES + 1))
    with pytest.raises(InputError, match="unpacks to 67108865 bytes"):
        open_artifact(rewritten(tiny, tmp_path, **{GOLDEN_FILE: buffer.getvalue()}))


def test_a_golden_tensor_that_says_it_is_larger_than_the_memory_is_refused(tiny, tmp_path):
    buffer = io.BytesIO()
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("input_differences.npy", head.getvalue())
    with pytest.raises(InputError, match="contract cannot be read"):
        open_artifact(rewritten(tiny, tmp_path, **{GOLDEN_FILE: buffer.getvalue()}))


def test_weights_appended_behind_the_contract_are_noticed(tiny):
    with tiny.path.open("ab") as file:
        file.write(field(7, field(5, field(8, b"kernel"))))  # ModelProto.graph.initializer.name
    with pytest.raises(VerificationError, match="the model does not have the hash"):
        open_artifact(tiny.path)


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
