"""The custom operators that a TFLite file names, read from its flatbuffer with the standard library alone.

Source: schema.fbs of TensorFlow Lite (``Model.operator_codes`` is field 1, ``OperatorCode.custom_code`` likewise) and
the FlatBuffers binary format.
"""

from __future__ import annotations

import struct
from pathlib import Path

from edgefer.errors import InputError

OPERATOR_CODES = 1
CUSTOM_CODE = 1
FLEX = "Flex"


def custom_ops(path: Path) -> list[str]:
    """Names of the custom operators a .tflite file uses, in its order.

    Raises:
        InputError: the flatbuffer points outside of the file.
    """
    data = path.read_bytes()
    try:
        codes = _field(data, _offset(data, 0), OPERATOR_CODES)
        if codes is None:
            return []
        (count,) = struct.unpack_from("<I", data, codes)
        tables = (_offset(data, codes + 4 + 4 * number) for number in range(count))
        places = [_field(data, table, CUSTOM_CODE) for table in tables]
        return [_text(data, place) for place in places if place is not None]
    except (struct.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged ({error})", hint="copy or convert it again") from error


def flex_ops(path: Path) -> list[str]:
    """Those of them that are TensorFlow's own, which no device runtime carries."""
    return [name for name in custom_ops(path) if name.startswith(FLEX)]


def _offset(data: bytes, place: int) -> int:
    """Where the forward reference at ``place`` points."""
    (distance,) = struct.unpack_from("<I", data, place)
    return place + int(distance)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a table's field of reference type points; None if it is not set."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", data, vtable)
    slot = 4 + 2 * number
    if slot + 2 > size:
        return None
    (inside,) = struct.unpack_from("<H", data, vtable + slot)
    return _offset(data, table + inside) if inside else None


def _text(data: bytes, place: int) -> str:
    (length,) = struct.unpack_from("<I", data, place)
    return data[place + 4 : place + 4 + length].decode()
