"""A plan: stages with their settings, in an order that makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edgefer.compression.base import Stage
from edgefer.errors import SettingError
from edgefer.recipe_loading import expand_preset
from edgefer.registry import discover, lookup, suggestion
from edgefer.settings import explain
from edgefer.spec import Frozen


@dataclass(frozen=True)
class Planned:
    """A stage with its settings as they were read, and as they were written (``raw``)."""

    stage: Stage
    options: Frozen
    raw: dict[str, Any]


def known_stages() -> dict[str, Stage]:
    """All stages by id."""
    return discover("edgefer.compression.stages", "STAGES")


def read_plan(stages: Sequence[Mapping[str, Any]]) -> tuple[Planned, ...]:
    """Read a plan; each entry names its ``stage``, everything else in it belongs to that stage.

    Raises:
        SettingError: no stage, an unknown one, a bad setting, a stage twice, or an order that makes no sense.
    """
    if not stages:
        raise SettingError(
            "no stage is given", key="stages", hint=f"choose from: {', '.join(known_stages())}"
        )
    planned = tuple(_read(number, dict(entry)) for number, entry in enumerate(stages))
    for number, one in enumerate(planned):
        _check_order(number, one, planned[:number])
    return planned


def _read(number: int, raw: dict[str, Any]) -> Planned:
    known, name = known_stages(), raw.get("stage")
    key = f"stages[{number}]"
    if not isinstance(name, str):
        raise SettingError(f"{key} does not name its stage", key=key, hint='write stage = "channels"')
    if name not in known:
        raise SettingError(f"unknown stage {name!r}", key=f"{key}.stage", hint=suggestion(name, known))
    stage: Stage = lookup("stage", name, known)
    settings = {word: value for word, value in raw.items() if word != "stage"}
    _expand_tuning(settings, key)
    try:
        return Planned(stage, msgspec.convert(settings, stage.options), raw)
    except msgspec.ValidationError as error:
        said = explain(error, stage.options)
        raise SettingError(
            f"stage {name}: {said.message}", key=f"{key}.{said.key}", hint=said.hint
        ) from error


def _expand_tuning(settings: dict[str, Any], key: str) -> None:
    """Presets of augmentation are as in a recipe's own table."""
    if isinstance(tuning := settings.get("tuning"), dict):
        settings["tuning"] = tuning = dict(tuning)
        try:
            expand_preset(tuning)
        except SettingError as error:
            raise SettingError(error.message, key=f"{key}.tuning.{error.key}", hint=error.hint) from error


def _check_order(number: int, one: Planned, before: tuple[Planned, ...]) -> None:
    earlier = [other.stage.id for other in before]
    key = f"stages[{number}].stage"
    if one.stage.id in earlier:
        raise SettingError(f"stage {one.stage.id} is given twice", key=key, hint="give it once")
    for other in before:
        if reason := other.stage.final or one.stage.not_after.get(other.stage.id):
            raise SettingError(
                f"stage {one.stage.id} cannot come after {other.stage.id}: {reason}",
                key=key,
                hint=f"put {one.stage.id} first",
            )
