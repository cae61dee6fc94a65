"""Reading a recipe's ``[backbone.options]`` into a family's own record."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from edgefer.errors import SettingError
from edgefer.settings import explain
from edgefer.spec import Frozen

Options = TypeVar("Options", bound=Frozen)


def read_options(family: str, options: dict[str, Any], kind: type[Options]) -> Options:
    """Validate ``options`` against ``kind``.

    Raises:
        SettingError: an unknown key or a bad value.
    """
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        said = explain(error, kind, "backbone.options")
        raise SettingError(f"{family}: {said.message}", key=said.key, hint=said.hint) from error
