"""Protobuf's wire format with the standard library alone: a message as its fields, no schema needed.

Source: protobuf.dev, "Encoding". What a file means stays with those who read it; damage is a ``ValueError`` or
``IndexError`` here and becomes a typed error there, where the file's name is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Field(NamedTuple):
    """One top-level field: its number, the offsets between which it stands, and its content's bytes, undecoded."""

    number: int
    start: int
    end: int
    content: bytes


def fields(data: bytes) -> Iterator[Field]:
    """Each top-level field of a message, in order.

    Raises:
        ValueError: a field runs past the end, or there is none where one should begin.
        IndexError: the data ends within a number.
    """
    position = 0
    while position < len(data):
        start = position
        key, position = read_varint(data, position)
        length, position = _length(data, position, key & 7)
        if position + length > len(data):
            raise ValueError(f"a field at byte {start} ends behind the end of the file")
        content, position = data[position : position + length], position + length
        yield Field(key >> 3, start, position, content)


def read_varint(data: bytes, position: int = 0) -> tuple[int, int]:
    """The unsigned number at ``position`` and where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError(f"no protobuf field at byte {position}")


def varint(value: int) -> bytes:
    """A number that is not negative, encoded."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A field that holds a number that is not negative, a bool or an enum."""
    return varint(number << 3) + varint(value)


def _length(data: bytes, position: int, wire_type: int) -> tuple[int, int]:
    if wire_type == 2:
        return read_varint(data, position)
    if wire_type == 0:
        return read_varint(data, position)[1] - position, position
    if wire_type in (1, 5):
        return (8 if wire_type == 1 else 4), position
    raise ValueError(f"no protobuf field at byte {position}")


class Message:
    """A message by field number; what is absent reads as protobuf's default."""

    def __init__(self, data: bytes = b"") -> None:
        self._contents: dict[int, list[bytes]] = {}
        for each in fields(data):
            self._contents.setdefault(each.number, []).append(each.content)

    def __contains__(self, number: int) -> bool:
        return number in self._contents

    def all(self, number: int) -> list[bytes]:
        """Every content of a repeated field."""
        return self._contents.get(number, [])

    def content(self, number: int) -> bytes:
        """The last content of a field, as protobuf merges scalars."""
        return self.all(number)[-1] if number in self else b""

    def text(self, number: int) -> str:
        """A string."""
        return self.content(number).decode()

    def number(self, number: int) -> int:
        """An unsigned number, a bool or an enum."""
        return read_varint(self.content(number))[0] if number in self else 0

    def message(self, number: int) -> Message:
        """A message; what is spread over several occurrences is merged."""
        return Message(b"".join(self.all(number)))

    def messages(self, number: int) -> list[Message]:
        """A repeated message."""
        return [Message(content) for content in self.all(number)]

    def entries(self, number: int) -> dict[str, Message]:
        """A map from strings to messages."""
        return {entry.text(1): entry.message(2) for entry in self.messages(number)}

    def numbers(self, number: int) -> list[int]:
        """A packed list of unsigned numbers; negative ones come in 64-bit two's complement."""
        data, position, found = b"".join(self.all(number)), 0, []
        while position < len(data):
            value, position = read_varint(data, position)
            found.append(value)
        return found
