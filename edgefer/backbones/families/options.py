"""Reading a recipe's ``[backbone.options]`` into a family's own record."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from edgefer.errors import InputError
from edgefer.spec import Frozen

Options = TypeVar("Options", bound=Frozen)


def read_options(family: str, options: dict[str, Any], kind: type[Options]) -> Options:
    """Validate ``options`` against ``kind``.

    Raises:
        InputError: an unknown key or a bad value; names the known keys.
    """
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind))
        raise InputError(f"backbone.options of {family}: {error}", hint=f"known: {known}") from error
