"""Reads recipes from TOML.

The shipped ones stand in ``edgefer/recipes/``; a path to a TOML file of the user's own works the same. Every
key is checked before anything heavy is imported: an unknown key, a wrong type or a value out of range names
the file, the line and the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from edgefer.errors import InputError
from edgefer.recipe import PRESETS, Augmentation, Recipe
from edgefer.registry import lookup, suggestion


def recipe_ids() -> tuple[str, ...]:
    """Ids of the shipped recipes, sorted."""
    return tuple(sorted(_shipped()))


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a shipped recipe by id, or a TOML file by path, and apply ``key.path=value`` overrides.

    Values of overrides are TOML; a bare word is a string.

    Raises:
        InputError: no such recipe, no valid TOML, an unknown key, or a bad value.
    """
    path = _find(name)
    text = _read(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: not valid TOML ({error})") from error
    for override in overrides:
        _apply(raw, override)
    _expand_preset(raw, path)
    return _convert(raw, path, text)


def _shipped() -> dict[str, Path]:
    folder = Path(str(files("edgefer") / "recipes"))
    return {path.stem: path for path in folder.glob("*.toml")}


def _find(name: str) -> Path:
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return Path(name)
    path: Path = lookup("recipe", name, _shipped())
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe file", hint=f"shipped: {', '.join(recipe_ids())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(
            f"cannot read the setting {override!r}", hint="write for instance training.epochs=10"
        )
    table = raw
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise InputError(f"{override!r}: {part} is a value, not a table")
    table[parts[-1]] = _value(value.strip(), override)


def _value(text: str, override: str) -> Any:
    if re.fullmatch(r"[A-Za-z][\w./-]*", text) and text not in ("true", "false", "inf", "nan"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise InputError(f"cannot read the value of {override!r}", hint="write it as in TOML") from None


def _expand_preset(raw: dict[str, Any], path: Path) -> None:
    table = raw.get("augmentation")
    if not isinstance(table, dict) or "preset" not in table:
        return
    preset = table["preset"]
    if preset not in PRESETS:
        hint = suggestion(str(preset), PRESETS)
        raise InputError(f"{path.name}: unknown augmentation.preset {preset!r}", hint=hint)
    own = {key: value for key, value in table.items() if key != "preset"}
    raw["augmentation"] = {**msgspec.to_builtins(PRESETS[preset]), **own}


def _convert(raw: dict[str, Any], path: Path, text: str) -> Recipe:
    try:
        return msgspec.convert(raw, Recipe)
    except msgspec.ValidationError as error:
        raise _explain(str(error), path, text) from error


_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]+)`")
_WHERE = re.compile(r" - at `\$\.?(?P<where>[^`]*)`$")


def _explain(message: str, path: Path, text: str) -> InputError:
    """Turn msgspec's message into one that names file, line, key and what may have been meant."""
    found = _WHERE.search(message)
    where = found["where"] if found else ""
    unknown = _UNKNOWN.search(message)
    key = ".".join(part for part in (where, unknown["key"] if unknown else "") if part)
    what = f"unknown key {key!r}" if unknown else f"{key or 'recipe'}: {_WHERE.sub('', message)}"
    hint = suggestion(unknown["key"], _fields(where)) if unknown else ""
    line = _line_of(key, text)
    return InputError(f"{path.name}{f', line {line}' if line else ''}: {what}", hint=hint)


def _fields(where: str) -> tuple[str, ...]:
    """Names that are known in the table ``where``."""
    kind: Any = Recipe
    for part in filter(None, where.split(".")):
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == part)
    variants = getattr(kind, "__args__", (kind,))
    names = {field.encode_name for variant in variants for field in msgspec.structs.fields(variant)}
    return tuple(sorted(names | ({"preset"} if kind is Augmentation else set())))


def _line_of(key: str, text: str) -> int | None:
    """Line of the assignment (or, for a table, of its header) that ``key`` (``table.name``) stands on."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = header[1].strip()
        name = re.match(r"\s*([\w.-]+)\s*=", line)
        full = ".".join(filter(None, (table, name[1]))) if name else table
        if key and full == key:
            return number
    return None
