"""``edgefer doctor``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.extras import extra_of_packages

if TYPE_CHECKING:
    from edgefer.bench.target import Target

# Other distributions that bring the same module.
TWINS = {
    "ai-edge-litert": ("tflite-runtime",),
    "onnxruntime": ("onnxruntime-gpu",),
    "tensorflow-cpu": ("tensorflow",),
}


@click.command(name="doctor")
@console.json_option
def command(as_json: bool) -> None:
    """Say what is installed, which targets are reachable, where data is, and what to install for the rest."""
    answer = {
        "edgefer": version("edgefer"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": _packages(),
        "targets": _targets(),
        "data": _data(),
        "cache": _cache(),
        "emulator": _emulator(),
    }
    if as_json:
        console.print_json(answer)
    else:
        _print(answer)


def _packages() -> list[dict[str, str]]:
    """Every package of the extras. Nothing is imported for it."""
    return [_package(name, extra) for name, extra in extra_of_packages().items()]


def _package(name: str, extra: str) -> dict[str, str]:
    """Version, or the command that installs it."""
    found = next(filter(None, map(_installed, (name, *TWINS.get(name, ())))), "")
    remedy = "" if found else f"pip install 'edgefer[{extra}]'"
    return {"package": name, "extra": extra, "installed": found, "install": remedy}


def _installed(name: str) -> str:
    """Version of a distribution, with its name where it is a twin's; "" if it is not installed."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return ""
    is_twin = any(name in twins for twins in TWINS.values())
    return f"{found} ({name})" if is_twin else found


def _targets() -> list[dict[str, str]]:
    """Every target, what it takes, and what it needs if it is not here or a runtime of it is not."""
    from edgefer.bench.target import targets

    return [
        {"target": t.id, "title": t.title, "formats": ", ".join(t.formats), "needs": _needs(t)}
        for t in targets().values()
    ]


def _needs(target: Target) -> str:
    """What the machine lacks, else what the runtimes lack."""
    from edgefer.bench.target import availability, missing_runtime
    from edgefer.registry import discover

    if reason := availability(target):
        return reason
    runtimes = discover("edgefer.runtimes", "RUNTIMES")
    missing = {f"{c}-*": missing_runtime(target, c, runtimes) for c in sorted(target.runtimes)}
    return "; ".join(f"{formats} {reason}" for formats, reason in missing.items() if reason)


def _data() -> dict[str, str]:
    """The data that commands use when none is given, or why they have none."""
    from edgefer.datasets.loading import choose, locate
    from edgefer.errors import InputError

    try:
        place = locate(None)
        return {"path": str(place), "layout": choose(place, None).id, "problem": ""}
    except InputError as error:
        return {"path": "", "layout": "", "problem": str(error)}


def _cache() -> str:
    from edgefer.datasets.cache import folder

    return str(folder())


def _emulator() -> str:
    """What 'bench --emulate' can run files with, or what it lacks."""
    from edgefer.emulation import pieces, tools
    from edgefer.emulation.sites import SITES
    from edgefer.errors import TargetUnavailableError

    try:
        release = tools.qemu_release()
        pieces.require([pieces.counter(), pieces.system()])
    except TargetUnavailableError as error:
        return str(error)
    ready = [runtime for runtime in SITES if pieces.site(runtime).ready]
    return f"QEMU {release} with {', '.join(ready)}" if ready else "run: edgefer emulator setup"


def _print(answer: dict[str, Any]) -> None:
    """The same as tables."""
    rows = [(p["package"], p["extra"], p["installed"] or "missing", p["install"]) for p in answer["packages"]]
    title = f"edgefer {answer['edgefer']} on Python {answer['python']}, {answer['system']}"
    console.print_table(title, ("package", "extra", "installed", "to install"), rows)
    rows = [(t["target"], t["title"], t["formats"], t["needs"] or "ready") for t in answer["targets"]]
    console.print_table("Targets", ("target", "what", "takes", "state"), rows)
    data = answer["data"]
    found = f"{data['path']} ({data['layout']})" if data["layout"] else data["problem"]
    places = [("data", found), ("cache", answer["cache"]), ("emulator", answer["emulator"])]
    console.print_table("Places", ("what", "where"), places)
