"""Layers that stay in float: from what a user names to the operations of a converted file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any

from edgefer.backbones.graph import Call, calls, consumers
from edgefer.errors import ConversionError, InputError
from edgefer.registry import suggestion

# What an export adds to a layer's name: the first layer's mark where it takes pixels, TensorFlow's count of the scope.
_ADDED = re.compile(r"(_on_pixels)?_\d+$")


def float_layers(model: Any, patterns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each pattern, such as ``block_1_*``, the names that operations of the layers it matches may go by.

    A convolution that a batch normalization follows goes by either's name once the two are one operation.

    Raises:
        InputError: a pattern matches no layer.
    """
    network = calls(model)
    found = {}
    for pattern in patterns:
        matching = [call for call in network if fnmatchcase(call.layer.name, pattern)]
        if not matching:
            names = [call.layer.name for call in network]
            raise InputError(f"no layer matches {pattern!r}", hint=suggestion(pattern, names))
        found[pattern] = tuple(dict.fromkeys(name for call in matching for name in _names(call, network)))
    return found


def _names(call: Call, network: list[Call]) -> list[str]:
    if _is_norm(call):
        before = [other for other in network if any(tensor is other.output for tensor in call.inputs)]
        return [call.layer.name, *(other.layer.name for other in before if _has_kernel(other.layer))]
    norms = [other for other in consumers(call, network) if _is_norm(other)]
    return [call.layer.name, *(other.layer.name for other in norms)]


def _has_kernel(layer: Any) -> bool:
    return hasattr(layer, "kernel_size") or hasattr(layer, "kernel")


def _is_norm(call: Call) -> bool:
    import keras

    return isinstance(call.layer, keras.layers.BatchNormalization)


def kept(operations: Mapping[str, str], layers: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Of operations and the text that names their origin (paths, joined by ``;``), those of ``layers``.

    Raises:
        ConversionError: a pattern's layers have no operation of their own in the file.
    """
    origins = {key: _origins(text) for key, text in operations.items()}
    for pattern, names in layers.items():
        if not any(origin & set(names) for origin in origins.values()):
            raise ConversionError(
                f"{pattern!r} cannot be kept in float: the converted network has no operation of that name",
                hint="name a convolution, a dense layer, or the layer it was merged with",
            )
    wanted = {name for names in layers.values() for name in names}
    return [key for key, origin in origins.items() if origin & wanted]


def not_of(operations: Mapping[str, str], layers: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Of operations, as ``kept`` has them, those that come of none of ``layers``."""
    wanted = {name for names in layers.values() for name in names}
    return [key for key, text in operations.items() if not _origins(text) & wanted]


def _origins(text: str) -> set[str]:
    """The layers in whose scopes the operations of ``text`` stand.

    An operation's own name is none of a layer, nor is what a batch normalization is made of: their ``add_1`` is not
    that of a layer called ``add``.
    """
    scopes: set[str] = set()
    for path in text.split(";"):
        scopes.update(takewhile(lambda scope: scope != "batchnorm", path.split("/")[:-1]))
    return {_ADDED.sub("", scope) for scope in scopes if _ADDED.search(scope)}
