"""A target: one TOML file that says which machine, which runtime a container, and how long to measure."""

from __future__ import annotations

import fnmatch
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import edgefer
from edgefer.bench.machine import facts
from edgefer.bench.measure import Plan
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.registry import lookup
from edgefer.runtimes.base import Runtime
from edgefer.spec import Frozen

# The package that an execution provider comes with.
BRINGS = {"CUDAExecutionProvider": "onnxruntime-gpu"}


class Needs(Frozen, frozen=True):
    """What a machine must be; empty fields ask for nothing. ``what`` says all of it in words, after "needs".

    ``system`` and ``machine`` are ``platform.system()`` and ``.machine()``; ``macos`` is the lowest major
    version; ``board`` is how the device tree's name of the board begins; ``package`` must be installed;
    ``provider`` is an ONNX Runtime execution provider that must be built in, and if it is CUDA's, an NVIDIA
    driver must be loaded.
    """

    what: str = ""
    system: str = ""
    machine: str = ""
    macos: int = 0
    board: str = ""
    package: str = ""
    provider: str = ""

    def __post_init__(self) -> None:
        asked = (self.system, self.machine, self.macos, self.board, self.package, self.provider)
        if any(asked) and not self.what:
            raise ValueError("needs must say in `what` what it asks for")
        if self.provider and self.provider not in BRINGS:
            raise ValueError(f"provider must be one of {', '.join(BRINGS)}")


class Emulation(Frozen, frozen=True):
    """The target's processor for ``bench --emulate``: as QEMU calls it, and as its ``/proc/cpuinfo`` would.

    ``implementer``, ``variant``, ``part`` and ``revision`` are the fields of Arm's MIDR register; runtimes choose
    their kernels by them and by ``features``, the kernel's names of instruction sets.
    """

    cpu: str
    cores: int
    implementer: int
    variant: int
    part: int
    revision: int
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.cores < 1 or not self.features:
            raise ValueError("an emulated processor needs cores and features")
        if self.cpu == "max":
            raise ValueError("QEMU's plain max gets int8 wrong without saying so; name a processor")


class Options(Frozen, frozen=True):
    """Settings of the runtime. ``threads`` 0 means one a physical core.

    ``variants`` maps a name to a runtime that runs the target's files in another way; all are timed in the same run.
    """

    threads: int = 0
    variants: dict[str, str] = msgspec.field(default_factory=dict)


class Measuring(Frozen, frozen=True):
    """How long to measure; the meaning of each value stands in ``edgefer.bench.measure``."""

    min_seconds: float = 2.0
    min_iterations: int = 30
    max_seconds: float = 30.0
    max_warmup_seconds: float = 5.0

    def __post_init__(self) -> None:
        if min(self.min_seconds, self.max_warmup_seconds) <= 0 or self.min_iterations < 1:
            raise ValueError("times must be positive and min_iterations at least 1")
        if self.max_seconds < self.min_seconds:
            raise ValueError("max_seconds must not be below min_seconds")

    def plan(self, min_seconds: float | None = None) -> Plan:
        """The plan of one measurement; ``min_seconds`` overrides the target's own."""
        plan = Plan(
            min_seconds=self.min_seconds,
            min_iterations=self.min_iterations,
            max_seconds=self.max_seconds,
            max_warmup_seconds=self.max_warmup_seconds,
        )
        return plan if min_seconds is None else plan.lasting(min_seconds)


class Target(Frozen, frozen=True):
    """Where artifacts run.

    ``runtimes`` maps a container to the id of the runtime that runs it here. ``executed_on`` maps a container
    to a text that its session's ``executed_on`` must hold: what else it reports is a fallback, and an error.
    ``stand_ins`` maps a container to the runtime that tells accuracy, and nothing else, where the target is missing.
    ``accuracy_on`` is a machine that computes what the target would, and is not it: it tells accuracy and nothing else.
    ``emulation`` is the processor to emulate where the target is not at hand; None: it cannot be emulated.
    ``elsewhere`` is set by ``for_accuracy``, never in a file: something else answers in the target's place.
    ``beside`` maps a format to those that must stand in the same run, because its speed says little without theirs.
    """

    id: str
    title: str
    device: str
    batches: tuple[int, ...]
    runtimes: dict[str, str]
    executed_on: dict[str, str] = msgspec.field(default_factory=dict)
    stand_ins: dict[str, str] = msgspec.field(default_factory=dict)
    options: Options = Options()
    measure: Measuring = Measuring()
    needs: Needs = Needs()
    accuracy_on: Needs | None = None
    emulation: Emulation | None = None
    elsewhere: bool = False
    beside: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.batches or min(self.batches) < 1:
            raise ValueError("batches must be positive numbers, at least one")
        if not self.runtimes:
            raise ValueError("runtimes must map at least one container")
        if not self.stand_ins.keys() <= self.runtimes.keys():
            raise ValueError("stand_ins may only map containers that runtimes maps")

    @property
    def formats(self) -> tuple[str, ...]:
        """Patterns of the format ids that run here: every precision of a known container."""
        return tuple(f"{container}-*" for container in sorted(self.runtimes))

    def takes(self, format_id: str) -> bool:
        """Whether artifacts of this format run here."""
        return any(fnmatch.fnmatchcase(format_id, pattern) for pattern in self.formats)

    def variants(self, container: str) -> tuple[tuple[str, str], ...]:
        """Runtimes that run a container here: the target's own under the name "", then the variants."""
        return (("", self.runtimes[container]), *self.options.variants.items())


def folder() -> Path:
    """Where the targets lie: inside an installed package, beside it in a checkout."""
    inside = Path(edgefer.__file__).parent / "targets"
    return inside if inside.is_dir() else inside.parent.parent / "targets"


def read_target(path: Path) -> Target:
    """Read one target file.

    Raises:
        InputError: no such file, no TOML, an unknown key, a bad value, or an id that is not the file's name.
    """
    try:
        target = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Target)
    except FileNotFoundError:
        raise InputError(f"{path}: no such target file") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a target ({error})") from error
    if target.elsewhere:
        raise InputError(f"{path}: elsewhere is no setting of a target file")
    if target.id != path.stem:
        raise InputError(f"{path}: the id {target.id!r} is not the file's name")
    return target


def targets() -> dict[str, Target]:
    """All targets by id, sorted."""
    return {path.stem: read_target(path) for path in sorted(folder().glob("*.toml"))}


def load_target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        InputError: there is none; a similar name is suggested.
    """
    target: Target = lookup("target", name, targets())
    return target


def with_kernels(target: Target, kernels: str) -> Target:
    """The target with its TFLite files on another kernel set: ``xnnpack``, ``builtin`` or ``reference``.

    Raises:
        InputError: it takes no TFLite files.
    """
    if "tflite" not in target.runtimes:
        raise InputError(f"target {target.id} takes no TFLite files, so it has no choice of kernels")
    runtime = "litert" if kernels == "xnnpack" else f"litert-{kernels}"
    return msgspec.structs.replace(target, runtimes={**target.runtimes, "tflite": runtime})


def availability(target: Target, machine: Mapping[str, Any] | None = None) -> str:
    """Exactly what ``target`` needs and what a machine is instead; empty if it is available there.

    ``machine`` holds the ``facts`` of a remote machine; None is this one.
    """
    lack = _lack(target.needs, {**facts(), "providers": _providers()} if machine is None else machine)
    return f"needs {target.needs.what}; {lack}" if lack else ""


def require(target: Target) -> None:
    """Pass if ``target`` is available here.

    Raises:
        TargetUnavailableError: it is not; the message says what it needs.
    """
    if reason := availability(target):
        raise TargetUnavailableError(
            f"target {target.id} is not available here: it {reason}", hint=_ways_around(target)
        )


def _ways_around(target: Target) -> str:
    """What a machine that is not the target can do all the same."""
    ways = []
    if target.stand_ins or tells_accuracy(target, facts()):
        ways.append("--accuracy-only scores its files here")
    if target.needs.board:
        ways.append("--emulate runs its files on an emulated processor")
    if target.stand_ins or target.needs.board:
        ways.append(f"--host user@{'board' if target.needs.board else 'mac'} measures them there")
    return ", ".join(ways)


def for_accuracy(target: Target, machine: Mapping[str, Any] | None = None) -> Target:
    """``target`` where it is available; else as far as a stand-in tells its accuracy: other runtimes, another machine.

    ``machine`` holds the ``facts`` of a remote machine; None is this one. A target without a stand-in stays as it is.
    Records name the stand-in as what they were executed on, and are called emulated.
    """
    machine = facts() if machine is None else machine
    if not availability(target, machine):
        return target
    if target.stand_ins:
        return msgspec.structs.replace(
            target, runtimes=target.stand_ins, executed_on={}, needs=Needs(), elsewhere=True
        )
    if tells_accuracy(target, machine):
        return msgspec.structs.replace(target, needs=Needs(), elsewhere=True)
    return target


def tells_accuracy(target: Target, machine: Mapping[str, Any]) -> bool:
    """Whether a machine with these ``facts``, which is not the target, computes what the target would."""
    return target.accuracy_on is not None and not _lack(target.accuracy_on, machine)


def with_installed_variants(
    target: Target, runtimes: Mapping[str, Runtime]
) -> tuple[Target, tuple[str, ...]]:
    """The target without the variants whose runtime cannot run here, and a sentence about each of those."""
    lacks = {name: runtimes[wanted].missing() for name, wanted in target.options.variants.items()}
    kept = {name: wanted for name, wanted in target.options.variants.items() if not lacks[name]}
    options = msgspec.structs.replace(target.options, variants=kept)
    left_out = tuple(f"{name} not measured: it {lack}" for name, lack in lacks.items() if lack)
    return msgspec.structs.replace(target, options=options), left_out


def missing_runtime(target: Target, container: str, runtimes: Mapping[str, Runtime]) -> str:
    """What the runtime of one of the target's containers needs to run here; empty if nothing."""
    wanted = target.runtimes[container]
    return (
        runtimes[wanted].missing() if wanted in runtimes else f"needs a runtime {wanted}, which edgefer lacks"
    )


def _lack(needs: Needs, machine: Mapping[str, Any]) -> str:
    """The first need that a machine does not meet, in words; "" if it meets all."""
    here = f"{machine['system']} {machine['machine']}"
    if needs.system not in ("", machine["system"]) or needs.machine not in ("", machine["machine"]):
        return f"this is {here}"
    if needs.macos and int(machine["macos"].partition(".")[0] or 0) < needs.macos:
        return f"this is macOS {machine['macos']}"
    if needs.board and not machine["board"].startswith(needs.board):
        return f"this is {machine['board'] or here}"
    return _lack_of_software(needs, machine)


def _lack_of_software(needs: Needs, machine: Mapping[str, Any]) -> str:
    """The same for packages and execution providers; of another machine only the package that brings one is known."""
    if needs.package and needs.package not in machine["packages"]:
        return f"{needs.package} is not installed"
    if not needs.provider:
        return ""
    if "providers" not in machine and (package := BRINGS[needs.provider]) not in machine["packages"]:
        return f"{package} is not installed"
    if needs.provider not in (providers := machine.get("providers", BRINGS)):
        return f"the providers here are: {', '.join(providers) or 'none, without onnxruntime'}"
    if needs.provider.startswith("CUDA") and os.name == "posix" and not machine["nvidia"]:
        return "no NVIDIA driver is loaded"
    return ""


def _providers() -> tuple[str, ...]:
    """Execution providers built into the installed ONNX Runtime; none if it is missing."""
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(onnxruntime.get_available_providers())
