"""The Python packages of an emulated board: one folder a runtime, of the very aarch64 wheels a board installs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edgefer.emulation import tools
from edgefer.errors import TargetUnavailableError

PLATFORMS = ("2_27", "2_28", "2_34", "2014", "2_17")


@dataclass(frozen=True)
class Site:
    """A runtime: ``id`` is its package, ``module`` what of it is imported.

    ``requirements`` are pip's, ``megabytes`` about what they take unpacked.
    """

    id: str
    module: str
    container: str
    requirements: tuple[str, ...]
    megabytes: int


SITES = {
    site.id: site
    for site in (
        Site(
            "ai-edge-litert",
            "ai_edge_litert.interpreter",
            "tflite",
            ("ai-edge-litert==2.3.0", "numpy>=2,<2.5", "pillow>=11"),
            124,
        ),
        # With numpy 2 it imports, and raises SystemError once an interpreter is made.
        Site(
            "tflite-runtime",
            "tflite_runtime.interpreter",
            "tflite",
            ("tflite-runtime==2.14.0", "numpy>=1.26,<2", "pillow>=11"),
            77,
        ),
        Site(
            "onnxruntime", "onnxruntime", "onnx", ("onnxruntime==1.31.1", "numpy>=2,<2.5", "pillow>=11"), 120
        ),
    )
}
PLAIN = ("ai-edge-litert", "tflite-runtime")
"""What ``setup`` builds unless told otherwise."""


def site_for(container: str) -> Site:
    """The first runtime for files of ``container``: the present one, where there is a predecessor."""
    return next(site for site in SITES.values() if site.container == container)


def pip_command(site: Site, folder: Path) -> list[str]:
    """How pip brings a site's wheels for CPython 3.11 on aarch64 to ``folder``, whatever it runs on itself."""
    platforms = (word for tag in PLATFORMS for word in ("--platform", f"manylinux{_joint(tag)}{tag}_aarch64"))
    return [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--target", str(folder), "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp",
        *platforms, *site.requirements,
    ]  # fmt: skip


def build(site: Site, folder: Path) -> None:
    """Bring a site's wheels to the empty ``folder``.

    Raises:
        TargetUnavailableError: pip is missing, or the wheels cannot be had.
    """
    if find_spec("pip") is None:
        hint = f"run: {sys.executable} -m ensurepip"
        raise TargetUnavailableError("emulation needs pip, which this Python lacks", hint=hint)
    failure = f"the aarch64 wheels of {site.id} cannot be fetched"
    tools.run(pip_command(site, folder), failure, hint="is the package index reachable?")


def _joint(tag: str) -> str:
    """``manylinux2014`` but ``manylinux_2_28``."""
    return "" if tag == "2014" else "_"
