"""The optional parts of edgefer: which of its extras bring a package, or a module that is missing."""

from __future__ import annotations

import platform
import re
from importlib.metadata import requires

EXTRAS = ("data", "metrics", "tflite", "onnx", "report", "train", "convert", "compress", "pretrained")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra == ['\"](\w+)['\"]")
_SYSTEM = re.compile(r"platform_system (==|!=) ['\"](\w+)['\"]")
# Modules that are not called like the package that brings them.
_PACKAGES = {"sklearn": "scikit-learn", "tensorflow": "tensorflow-cpu"}


def extra_of_packages() -> dict[str, str]:
    """Every package of the extras and the smallest that brings it."""
    found: dict[str, str] = {}
    for extra in EXTRAS:
        for name in _names(extra):
            found.setdefault(name, extra)
    return found


def extra_of_module(module: str) -> str | None:
    """The smallest extra that brings a module such as ``keras.src``; None for a module of no extra."""
    top, extras = module.partition(".")[0], extra_of_packages()
    name = top.replace("_", "-")
    return extras.get(name) or extras.get(_PACKAGES.get(top, ""))


def _names(extra: str) -> list[str]:
    """The packages that one extra asks for on this operating system."""
    texts = [
        text for text in requires("edgefer") or () if (found := _EXTRA.search(text)) and found[1] == extra
    ]
    names = [match[0] for text in texts if _applies(text) and (match := _NAME.match(text))]
    return [name for name in names if name != "edgefer"]


def _applies(requirement: str) -> bool:
    """Whether the requirement is meant for this operating system."""
    wanted = _SYSTEM.search(requirement)
    return not wanted or (platform.system() == wanted[2]) == (wanted[1] == "==")
