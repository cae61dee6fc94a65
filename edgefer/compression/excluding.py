"""Parts of a network that a user names to be left as they are: ``exclude`` of the stages that remove something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from edgefer.errors import SettingError
from edgefer.registry import suggestion


def is_excluded(name: str, exclude: Sequence[str]) -> bool:
    """Whether a whole name matches one of the patterns, in which ``*`` stands for any letters."""
    return any(fnmatchcase(name, pattern) for pattern in exclude)


def refuse_unmatched(exclude: Sequence[str], names: Iterable[str], what: str) -> None:
    """Raise ``SettingError`` for a pattern that matches none of the ``names`` of ``what`` may be excluded."""
    known = list(names)
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise SettingError(
                f"exclude: no {what}'s name matches {pattern!r}",
                key="exclude",
                hint=suggestion(pattern, known),
            )
