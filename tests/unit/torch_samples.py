"""PyTorch files written without PyTorch, in both of its layouts."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

STORAGES = {
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "f2": "HalfStorage",
    "i8": "LongStorage",
    "u1": "ByteStorage",
}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@dataclass
class View:
    """A tensor as PyTorch keeps it; a storage is an array of one dimension."""

    storage: npt.NDArray[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, self.offset, self.shape, self.strides, False, OrderedDict())


def view(array: npt.NDArray[Any]) -> View:
    """An array as a tensor with the same order in memory, which may be any permutation of C's."""
    order = np.argsort([-stride for stride in array.strides], kind="stable")
    flat = array.transpose(order).ravel()
    return View(flat, 0, array.shape, tuple(stride // array.itemsize for stride in array.strides))


def zipped(state: Any, *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """What ``torch.save`` writes today."""
    pickled, storages = _pickled(state)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for number, storage in enumerate(storages):
            archive.writestr(f"archive/data/{number}", storage.tobytes())
    return file.getvalue()


def legacy(state: Any) -> bytes:
    """What ``torch.save`` wrote before version 1.6."""
    pickled, storages = _pickled(state)
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True})]
    parts += [pickled, pickle.dumps([str(number) for number in range(len(storages))], 2)]
    parts += [len(storage).to_bytes(8, "little") + storage.tobytes() for storage in storages]
    return b"".join(parts)


LAYOUTS: dict[str, Callable[[Any], bytes]] = {"zip": zipped, "legacy": legacy}


def _pickled(state: Any) -> tuple[bytes, list[npt.NDArray[Any]]]:
    storages: list[npt.NDArray[Any]] = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, np.ndarray):
                return None
            if not any(value is known for known in storages):
                storages.append(value)
            key = next(str(n) for n, known in enumerate(storages) if known is value)
            kind = getattr(sys.modules["torch"], STORAGES[value.dtype.str[1:]])
            return "storage", kind, key, "cpu", len(value)

    file = io.BytesIO()
    with _torch():
        Pickler(file, 2).dump(state)
    return file.getvalue(), storages


@contextmanager
def _torch() -> Iterator[None]:
    """As much of a ``torch`` as pickle wants to see while it writes its names."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
