"""Core ML's weight file: a header, then for every constant 64 bytes about it and its data, both 64-byte aligned.

Source: coremltools, ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp`` (version 2 of the format). All numbers are
little-endian. Header: count u32, version u32. Metadata: sentinel u32, data type u32, bytes u64, offset u64, unused bits
at the end u64.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from edgefer.errors import InputError
from edgefer.runtimes.mil import dtypes
from edgefer.runtimes.mil.dtypes import DType

ALIGNMENT = 64
SENTINEL = 0xDEADBEEF
VERSION = 2
_HEADER = struct.Struct("<II")
_METADATA = struct.Struct("<IIQQQ")


class Blob(NamedTuple):
    """One constant's packed bytes, how many numbers they are and of which type."""

    dtype: DType
    values: int
    data: bytes


class WeightFile:
    """A weight file, read whole; every offset and length that it states is held against its size.

    Raises:
        InputError: missing, cut off, or not of this format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path}: the weight file cannot be read ({error.strerror})", hint=_AGAIN
            ) from error
        if len(self._data) < ALIGNMENT:
            raise self._damaged("it is shorter than its header")
        _, version = _HEADER.unpack_from(self._data)
        if version != VERSION:
            raise self._damaged(f"its header says version {version}, not {VERSION}")

    def at(self, offset: int) -> Blob:
        """The constant whose metadata stands at byte ``offset``, as a program refers to it.

        Raises:
            InputError: there is none, or it does not lie within the file.
        """
        if offset % ALIGNMENT or not ALIGNMENT <= offset <= len(self._data) - ALIGNMENT:
            raise self._damaged(f"it ends at byte {len(self._data)}, and has no constant at byte {offset}")
        sentinel, code, size, start, unused = _METADATA.unpack_from(self._data, offset)
        if sentinel != SENTINEL:
            raise self._damaged(f"no constant begins at byte {offset}")
        if start % ALIGNMENT or start < ALIGNMENT or start + size > len(self._data):
            raise self._damaged(f"it ends at byte {len(self._data)}, a constant at {start + size}")
        try:
            dtype = dtypes.of_blob(code)
        except ValueError as error:
            raise self._damaged(str(error)) from error
        if unused >= 8 or unused > size * 8:
            raise self._damaged(f"the constant at byte {offset} has {unused} unused bits")
        return Blob(dtype, (size * 8 - unused) // dtype.bits, self._data[start : start + size])

    def _damaged(self, what: str) -> InputError:
        return InputError(f"{self.path}: the weight file is cut off or damaged: {what}", hint=_AGAIN)


_AGAIN = "copy the whole package again, or convert again"
