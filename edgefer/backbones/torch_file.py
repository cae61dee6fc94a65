"""Tensors out of a PyTorch state dict, without PyTorch and without running what the file says.

A ``.pth`` file is a pickle, and a pickle can call anything. Here it may name three kinds of things: the ordered
dict, the function that describes a tensor, and the storage types; any other name ends the reading. The numbers stand
outside the pickle, as members of a zip archive or, in files written before PyTorch 1.6, one after another behind it.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgefer.errors import EdgeferError, InputError, UntrustedCodeError

Tensors = dict[str, npt.NDArray[Any]]

# Far above any network that runs on a small device, far below what would stop the machine.
LARGEST_BYTES = 2**30

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BoolStorage": "?", "ByteStorage": "u1",
    "CharStorage": "i1", "ShortStorage": "<i2", "IntStorage": "<i4", "LongStorage": "<i8",
}  # fmt: skip


def read_tensors(path: Path) -> Tensors:
    """All tensors of the state dict in ``path`` by their names, in the file's order, each an array of its own.

    Raises:
        InputError: missing, truncated, too large, or not a plain state dict of dense tensors.
        UntrustedCodeError: the pickle in it names anything but tensors.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(
                f"{path}: larger than {LARGEST_BYTES >> 20} MiB, too large for a state dict here"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    read = _read_zip if content.startswith(b"PK") else _read_legacy
    try:
        return read(path, content)
    except EdgeferError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its opcodes run into
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{path}: truncated or not a PyTorch file ({said})", hint="copy it again") from error


class _Storage(NamedTuple):
    """A flat run of numbers that tensors are views of."""

    key: str
    dtype: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StorageType(NamedTuple):
    """Stands for a class such as ``torch.FloatStorage``; a tuple, so that the pickle cannot set anything on it."""

    dtype: np.dtype[Any]


class _Rebuild:
    """Stands for ``torch._utils._rebuild_tensor_v2``: keeps the description, makes no tensor."""

    __slots__ = ()

    def __call__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> _Tensor:
        whole = all(type(n) is int and n >= 0 for n in (offset, *shape, *strides))
        if not isinstance(storage, _Storage) or not whole or len(shape) != len(strides):
            raise pickle.UnpicklingError("a tensor's description makes no sense")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """Reads one pickle; ``storages`` collects what it refers to outside itself."""

    def __init__(self, path: Path, file: io.BytesIO) -> None:
        super().__init__(file)
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in _DTYPES:
            return _StorageType(np.dtype(_DTYPES[name]))
        raise UntrustedCodeError(
            f"{self.path}: names {f'{module}.{name}'[:80]!r}, which is no part of a plain state dict",
            hint="write the tensors alone: torch.save(model.state_dict(), file)",
        )

    def persistent_load(self, pid: Any) -> _Storage:
        word, kind, key, _, length, *view = pid
        if word != "storage" or not isinstance(kind, _StorageType) or any(view):
            raise pickle.UnpicklingError("refers to something that is no storage")
        if type(key) is not str or type(length) is not int or not 0 <= length <= LARGEST_BYTES:
            raise pickle.UnpicklingError("a storage's description makes no sense")
        storage = _Storage(key, kind.dtype, length)
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {key} is described twice")
        return storage


def _read_zip(path: Path, content: bytes) -> Tensors:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and _member(archive, f"{folder}byteorder") != b"little":
            raise InputError(f"{path}: was written on a big-endian machine, which is not read here")
        reader = _Reader(path, io.BytesIO(_member(archive, pickled)))
        state = reader.load()
        return _arrays(path, state, {key: _member(archive, f"{folder}data/{key}") for key in reader.storages})


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # PyTorch stores without compression, so that no member is larger than the file itself.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{name} is compressed")
    return archive.read(name)


def _read_legacy(path: Path, content: bytes) -> Tensors:
    file = io.BytesIO(content)
    magic, protocol, system = (_Reader(path, file).load() for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise pickle.UnpicklingError("its first bytes are not PyTorch's")
    if not system["little_endian"]:
        raise InputError(f"{path}: was written on a big-endian machine, which is not read here")
    reader = _Reader(path, file)
    state = reader.load()
    keys = _Reader(path, file).load()
    return _arrays(path, state, {key: _following(file, reader.storages[key]) for key in keys})


def _following(file: io.BytesIO, storage: _Storage) -> bytes:
    """The next storage's bytes: its length in elements (8 bytes), then the elements."""
    if int.from_bytes(file.read(8), "little") != storage.length:
        raise EOFError(f"storage {storage.key} is not where it should be")
    return file.read(storage.length * storage.dtype.itemsize)


def _arrays(path: Path, state: Any, contents: dict[str, bytes]) -> Tensors:
    """Cut the tensors that ``state`` describes out of the storages' contents."""
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds a {type(state).__name__}, a state dict is needed")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise InputError(
                f"{path}: {str(name)[:80]!r} in it is no tensor",
                hint="write the tensors alone: torch.save(model.state_dict(), file)",
            )
    # Tensors may share a storage: a small file could describe more than the memory holds.
    if (
        sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in state.values())
        > LARGEST_BYTES
    ):
        raise InputError(f"{path}: its tensors are larger than {LARGEST_BYTES >> 20} MiB together")
    return {name: _array(tensor, contents[tensor.storage.key]) for name, tensor in state.items()}


def _array(tensor: _Tensor, content: bytes) -> npt.NDArray[Any]:
    storage, offset, shape, strides = tensor
    flat = np.frombuffer(content, storage.dtype)
    if len(flat) != storage.length:
        raise EOFError(f"storage {storage.key} holds {len(flat)} of {storage.length} numbers")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    count: int = math.prod(shape)
    # More numbers than the storage has would be one number repeated: no network's weights, but a way to fill memory.
    if count > storage.length or (count and last >= storage.length):
        raise ValueError(f"a tensor {shape} reaches beyond its storage of {storage.length} numbers")
    steps = [stride * storage.dtype.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False).copy()
