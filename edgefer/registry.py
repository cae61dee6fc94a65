"""One registry per kind of thing, filled by walking a package.

A module that adds something declares a tuple under the kind's agreed name (``FORMATS``, ``READERS`` …); nothing
else has to change. An id that appears twice is a programming error and raises at first use.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from edgefer.errors import InputError


def discover(package: str, attribute: str) -> dict[str, Any]:
    """Collect ``attribute`` tuples from all modules of ``package`` into ``{item.id: item}``, in sorted module order.

    Raises:
        RuntimeError: two items share an id.
    """
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{package}.{info.name}")
        for item in getattr(module, attribute, ()):
            if item.id in found:
                raise RuntimeError(f"{package}: the id {item.id!r} is declared twice, again in {info.name}")
            found[item.id] = item
    return found


def lookup(kind: str, name: str, items: Mapping[str, Any]) -> Any:
    """Return ``items[name]``; a mistyped name is answered with a suggestion, never with a guess.

    Raises:
        InputError: ``name`` is unknown.
    """
    if name in items:
        return items[name]
    raise InputError(f"unknown {kind} {name!r}", hint=suggestion(name, items))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Phrase what the user may have meant by ``name``: all that go on from it with a hyphen, or the one most alike."""
    known = list(known)
    begun = sorted(each for each in known if each.startswith(f"{name}-"))
    close = begun or difflib.get_close_matches(name, known, n=1)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"choose one of: {', '.join(known)}"
