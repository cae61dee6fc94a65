"""What is wrong with a setting and where it stands: msgspec's complaints as keys, keys as lines of a TOML text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any, get_args

import msgspec

from edgefer.errors import SettingError
from edgefer.registry import suggestion

_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<key>[^`]+)`")
_WHERE = re.compile(r" - at `\$\.?(?P<where>[^`]*)`$")
_SUBJECT = re.compile(
    r"([\w.]+) (?!and )"
)  # our own checks begin with the field they are about, or with several
_HEADER = re.compile(r"\s*(?P<brackets>\[\[?)\s*(?P<table>[\w.-]+)\s*\]")
_ASSIGNMENT = re.compile(r"\s*(?P<name>[\w.-]+)\s*=")
_LAST_PART = re.compile(r"(^|\.|\[)[^.\[]*$")


def explain(
    error: msgspec.ValidationError, kind: type[msgspec.Struct], table: str = "", also: Collection[str] = ()
) -> SettingError:
    """Turn msgspec's complaint about a ``kind`` into one that names the setting and what may have been meant.

    ``table`` is the dotted name of the table that ``kind`` was read from, empty for a whole file; ``also`` are
    dotted keys that the reader understands beside the fields.
    """
    found = _WHERE.search(str(error))
    where = found["where"] if found else ""
    said = _WHERE.sub("", str(error))
    known = [*_fields_at(kind, where), *(key.rpartition(".")[2] for key in also if _table_of(key) == where)]
    if unknown := _UNKNOWN.search(said):
        key = _dotted(table, where, unknown["key"])
        return SettingError(f"unknown key {key!r}", key=key, hint=suggestion(unknown["key"], sorted(known)))
    if missing := _MISSING.search(said):
        key = _dotted(table, where, missing["key"])
        return SettingError(f"{key} is missing", key=key, hint="set it")
    subject = _SUBJECT.match(said)
    key = _dotted(table, where, subject[1] if subject and subject[1].partition(".")[0] in known else "")
    return SettingError(f"{key or 'the recipe'}: {said}", key=key)


def line_of(key: str, text: str) -> int | None:
    """Line, from 1, on which a TOML text sets ``key``; where it does not, that of the nearest table around it."""
    places = _places(text)
    while key and key not in places:
        key = _LAST_PART.sub("", key)
    return places.get(key)


def _dotted(*parts: str) -> str:
    return ".".join(filter(None, parts))


def _table_of(key: str) -> str:
    return key.rpartition(".")[0]


def _fields_at(kind: Any, where: str) -> dict[str, Any]:
    """Names and types of the fields at the dotted place ``where`` inside ``kind``."""
    known = _fields(kind)
    for part in filter(None, where.split(".")):
        known = _fields(known.get(part.partition("[")[0]))
    return known


def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a struct, of all structs of a union, or of a tuple's elements."""
    structs = (
        one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, msgspec.Struct)
    )
    return {field.encode_name: field.type for one in structs for field in msgspec.structs.fields(one)}


def _places(text: str) -> dict[str, int]:
    """Line of every assignment and table header; the n-th ``[[table]]`` is ``table[n]``, from 0."""
    places: dict[str, int] = {}
    seen: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _numbered(header["table"], seen)
            if header["brackets"] == "[[":
                seen[table] += 1
                table = f"{table}[{seen[table] - 1}]"
            places.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            places.setdefault(_dotted(table, assignment["name"]), number)
    return places


def _numbered(table: str, seen: Counter[str]) -> str:
    """A table inside the latest ``[[table]]`` around it, as ``table[n].inside``."""
    outer, dot, inside = table.partition(".")
    return f"{outer}[{seen[outer] - 1}].{inside}" if dot and seen[outer] else table
