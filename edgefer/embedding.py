"""Attaching named files to a converter's output without touching it, and reading them back.

TFLite: a ZIP archive behind the flatbuffer (how TFLite Metadata stores associated files). ONNX and Core ML: protobuf
map entries behind the model message; the protobuf encoding defines that concatenated messages merge, so every reader
sees them. Both are read here with the standard library alone.
"""

from __future__ import annotations

import base64
import io
import shutil
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from edgefer.errors import InputError
from edgefer.files import files_in, sha256_of_parts
from edgefer.protobuf import field, fields

MLMODEL = "Data/com.apple.CoreML/model.mlmodel"

_PREFIX = "edgefer."
# Field numbers: onnx.proto ModelProto.metadata_props; Core ML Model.proto Model.description,
# ModelDescription.metadata, Metadata.userDefined. Map entries are {1: key, 2: value}.
_ONNX_PATH = (14,)
_COREML_PATH = (2, 100, 100)


DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    MemoryError,
)
"""What reading a damaged ZIP archive or ``.npz`` raises: flags ask for ciphers and methods, offsets and sizes lie."""

MOST_BYTES = 1 << 26
"""What a contract's files, or its golden tensors, take unpacked at most: 64 MiB, over 200 colour faces of 224²."""


class Attached(NamedTuple):
    """What ``detach`` found: the payload's hash and the files behind it, by name."""

    payload_sha256: str
    files: dict[str, bytes]


def attach(container: str, payload: Path, files: dict[str, bytes], out: Path) -> None:
    """Copy ``payload`` to ``out`` with ``files`` behind it; ``out`` must not exist (write to a temporary place)."""
    if container == "coreml":
        shutil.copytree(payload, out)
        model = out / MLMODEL
        model.write_bytes(model.read_bytes() + _entries(_COREML_PATH, files))
    elif container == "onnx":
        out.write_bytes(payload.read_bytes() + _entries(_ONNX_PATH, files))
    else:
        out.write_bytes(payload.read_bytes() + _archive(files, payload.stat().st_size))


def payload_sha256(container: str, payload: Path) -> str:
    """Hash of a converter's untouched output."""
    if container == "coreml":
        return _package_sha256(payload, (payload / MLMODEL).read_bytes())
    return sha256(payload.read_bytes()).hexdigest()


def detach(container: str, path: Path) -> Attached:
    """Read what ``attach`` wrote; ``files`` is empty if there is nothing.

    Raises:
        InputError: the file is truncated or not of this container.
    """
    if container == "tflite":
        return _detach_archive(path)
    model = path / MLMODEL if container == "coreml" else path
    try:
        data = model.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path}: no {MLMODEL} in this package", hint="copy the whole .mlpackage folder"
        ) from None
    files, rest = _read_entries(data, _COREML_PATH if container == "coreml" else _ONNX_PATH, path)
    if container == "coreml":
        return Attached(_package_sha256(path, rest), files)
    return Attached(sha256(rest).hexdigest(), files)


def _package_sha256(package: Path, model: bytes) -> str:
    # Manifest.json holds random identifiers that name the same parts anew at each save.
    parts = {
        p.relative_to(package).as_posix(): p.read_bytes()
        for p in files_in(package)
        if p.name != "Manifest.json"
    }
    return sha256_of_parts({**parts, MLMODEL: model})


def _archive(files: dict[str, bytes], offset: int) -> bytes:
    buffer = io.BytesIO()
    buffer.write(b"\0" * offset)  # so that the archive's offsets count from the start of the whole file
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # A fixed date keeps equal input giving equal bytes.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()[offset:]


def _detach_archive(path: Path) -> Attached:
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise InputError(f"{path}: not a TFLite file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            refuse_bomb(path, archive)
            files = {info.filename: archive.read(info) for info in archive.infolist()}
            end = min(info.header_offset for info in archive.infolist())
    except DAMAGE:
        return Attached(sha256(data).hexdigest(), {})
    return Attached(sha256(data[:end]).hexdigest(), files)


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that says it is larger than any contract; none unpacks to more than it says.

    Raises:
        InputError: names the sizes.
    """
    if (size := sum(info.file_size for info in archive.infolist())) > MOST_BYTES:
        raise InputError(f"{path}: unpacks to {size} bytes, more than the {MOST_BYTES} of any contract")


def _entries(path: tuple[int, ...], files: dict[str, bytes]) -> bytes:
    return b"".join(_entry(path, name, content) for name, content in files.items())


def _entry(path: tuple[int, ...], name: str, content: bytes) -> bytes:
    # Protobuf strings must be UTF-8, hence base64 for what is not text.
    text = content if name.endswith((".json", ".txt")) else base64.b64encode(content)
    message = field(1, (_PREFIX + name).encode()) + field(2, text)
    for number in reversed(path):
        message = field(number, message)
    return message


def _read_entries(data: bytes, path: tuple[int, ...], source: Path) -> tuple[dict[str, bytes], bytes]:
    """Files behind a protobuf message, and the message without them.

    Fields behind the files belong to the message: readers merge them into it, weights included.
    """
    files: dict[str, bytes] = {}
    rest = bytearray()
    try:
        for number, start, end, value in fields(data):
            entry = _descend(value, path[1:]) if number == path[0] else None
            if entry and entry[0].startswith(_PREFIX):
                files[entry[0].removeprefix(_PREFIX)] = _content(*entry)
            else:
                rest += data[start:end]
    except (IndexError, ValueError) as error:
        raise InputError(
            f"{source}: truncated or damaged ({error})", hint="copy or convert it again"
        ) from error
    return files, bytes(rest)


def _content(name: str, value: bytes) -> bytes:
    return value if name.endswith((".json", ".txt")) else base64.b64decode(value, validate=True)


def _descend(value: bytes, path: tuple[int, ...]) -> tuple[str, bytes] | None:
    """The map entry at ``path`` if the message holds nothing else, as the appended messages do."""
    for number in path:
        inner = list(fields(value))
        if len(inner) != 1 or inner[0].number != number:
            return None
        value = inner[0].content
    entry = {each.number: each.content for each in fields(value)}
    return (entry[1].decode(), entry[2]) if set(entry) == {1, 2} else None
