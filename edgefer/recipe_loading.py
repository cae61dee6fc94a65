"""Reads recipes from TOML.

The shipped ones stand in ``edgefer/recipes/``; a path to a TOML file of the user's own works the same. Every
key is checked before anything heavy is imported: an unknown key, a wrong type or a value out of range names
the file, the line and the key. What only a later step can judge (a backbone's options, say) is raised there as
a ``SettingError``; ``naming_lines`` adds file and line to it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from edgefer.errors import InputError, SettingError
from edgefer.recipe import PRESETS, EnsembleRecipe, Recipe
from edgefer.registry import lookup, suggestion
from edgefer.settings import explain, line_of

# Bare words that are TOML values, not strings.
_WORDS = ("true", "false", "inf", "nan")


def recipe_ids() -> tuple[str, ...]:
    """Ids of the shipped recipes, sorted."""
    return tuple(sorted(_shipped()))


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe | EnsembleRecipe:
    """Read a shipped recipe by id, or a TOML file by path, and apply ``key.path=value`` overrides.

    Values of overrides are TOML; a bare word or path is a string. A file with ``members`` is an ensemble.

    Raises:
        InputError: no such recipe, no valid TOML, an unknown key, or a bad value.
    """
    path = _find(name)
    try:
        raw = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: not valid TOML ({error})") from error
    apply_settings(raw, overrides)
    with naming_lines(name, overrides):
        expand_preset(raw)
        return _convert(raw)


def load_single(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of one network; arguments and errors as for ``load_recipe``.

    Raises:
        InputError: the recipe is an ensemble.
    """
    recipe = load_recipe(name, overrides)
    if isinstance(recipe, EnsembleRecipe):
        members = ", ".join(member.recipe for member in recipe.members)
        raise InputError(f"{recipe.id} is an ensemble, not one network", hint=f"its members: {members}")
    return recipe


@contextmanager
def naming_lines(
    name: str, overrides: Sequence[str] = (), tables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[None]:
    """Add to a ``SettingError`` raised inside where the setting stands; arguments as for ``load_recipe``.

    ``tables`` says where in the recipe stands what overrides call by another word: ``channels`` is ``stages[0]``.

    Raises:
        InputError: in place of the SettingError; it names the file and the line, or the override.
    """
    try:
        yield
    except SettingError as error:
        place = _override_of(error.key, overrides, tables) or _line_of(error.key, _find(name))
        raise InputError(f"{place}: {error.message}", hint=error.hint) from error


def _override_of(key: str, overrides: Sequence[str], tables: Mapping[str, str]) -> str:
    """Name the override that set ``key`` or a table around it."""
    for override in reversed(overrides):
        word, dot, rest = override.partition("=")[0].strip().partition(".")
        changed = f"{tables.get(word, word)}{dot}{rest}"
        if key == changed or key.startswith((f"{changed}.", f"{changed}[")):
            return f"setting {override!r}"
    return ""


def _line_of(key: str, path: Path) -> str:
    line = line_of(key, _read(path))
    return f"{path.name}, line {line}" if line else path.name


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
        return path.read_text("utf-8-sig")  # editors on Windows begin a file with a mark
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe file", hint=f"shipped: {', '.join(recipe_ids())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def apply_settings(raw: dict[str, Any], overrides: Sequence[str]) -> None:
    """Put each ``key.path=value`` into nested tables; values are TOML, a bare word or path is a string.

    One that sets a preset of augmentation replaces the table's own amounts; other overrides refine the preset.

    Raises:
        InputError: one cannot be read, or its path leads through a value.
    """
    # Before the first is applied: an amount given on the command line counts on either side of the preset.
    for override in overrides:
        _drop_amounts(raw, override)
    for override in overrides:
        _apply(raw, override)


def _drop_amounts(raw: dict[str, Any], override: str) -> None:
    """Empty the table of augmentation whose preset ``override`` sets."""
    *path, last = override.partition("=")[0].strip().split(".")
    if last != "preset" or path[-1:] != ["augmentation"]:
        return
    table: Any = raw
    for part in path:
        table = table.get(part) if isinstance(table, dict) else None
    if isinstance(table, dict):
        table.clear()


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
    if re.fullmatch(r"[A-Za-z][\w./-]*|(~|\.\.?)?/.+", text) and text not in _WORDS:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise InputError(f"cannot read the value of {override!r}", hint="write it as in TOML") from None


def expand_preset(raw: dict[str, Any]) -> None:
    """Replace ``augmentation.preset`` in a table by what it stands for.

    Raises:
        SettingError: an unknown preset.
    """
    table = raw.get("augmentation")
    if not isinstance(table, dict) or "preset" not in table:
        return
    preset = str(table["preset"])
    if preset not in PRESETS:
        key = "augmentation.preset"
        raise SettingError(f"unknown {key} {preset!r}", key=key, hint=suggestion(preset, PRESETS))
    own = {key: value for key, value in table.items() if key != "preset"}
    raw["augmentation"] = {**msgspec.to_builtins(PRESETS[preset]), **own}


def _convert(raw: dict[str, Any]) -> Recipe | EnsembleRecipe:
    kind: type[Recipe | EnsembleRecipe] = EnsembleRecipe if "members" in raw else Recipe
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind, also=("augmentation.preset",)) from error
