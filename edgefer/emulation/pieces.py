"""What ``edgefer emulator setup`` builds in the user's cache: a system, a folder a runtime, the counting plugin.

Each piece is a folder named after all that shapes it. It is built elsewhere and moved into place, so that a set-up that
was interrupted leaves whole pieces or nothing of them, and goes on where it was.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgefer.datasets.cache import folder as cache_folder
from edgefer.device import shipping
from edgefer.emulation import counting, debian, sites
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.files import atomic_directory, sha256_of_parts, size_of
from edgefer.remote.packing import install_kit


@dataclass(frozen=True)
class Piece:
    """One folder: ``what`` in words, about how many ``megabytes``, and ``recipe``: all that shapes it."""

    id: str
    what: str
    megabytes: int
    recipe: tuple[str, ...]
    build: Callable[[Path], None]

    @property
    def place(self) -> Path:
        """Where it stands, or would."""
        return home() / f"{self.id}-{hashlib.sha256(repr(self.recipe).encode()).hexdigest()[:12]}"

    @property
    def ready(self) -> bool:
        """Whether it is there."""
        return self.place.is_dir()


@dataclass(frozen=True)
class Built:
    """A piece after a set-up: ``seconds`` it took now, 0 if it was there; ``bytes`` on disk."""

    piece: Piece
    seconds: float
    bytes: int


def home() -> Path:
    """The folder of all pieces."""
    return cache_folder() / "emulator"


def system(mirror: str = debian.MIRROR) -> Piece:
    """Debian's arm64 Python. The mirror is no part of the recipe: its packages are signed."""
    packages = " ".join(debian.PACKAGES)
    what = f"Debian 12 for arm64: {packages}"
    return Piece("debian", what, 67, (debian.SUITE, packages), partial(debian.build, mirror=mirror))


def site(name: str) -> Piece:
    """The wheels of one runtime."""
    it = sites.SITES[name]
    what = f"aarch64 wheels: {', '.join(it.requirements)}"
    return Piece(it.id, what, it.megabytes, (*it.requirements, *sites.PLATFORMS), partial(sites.build, it))


def counter() -> Piece:
    """The plugin that counts instructions."""
    source = counting.SOURCE.read_text(encoding="utf-8")
    return Piece("counter", f"plugin for QEMU, from {counting.SOURCE.name}", 1, (source,), counting.build)


def kit() -> Piece:
    """The modules of edgefer that a real board gets, too; it is built when a board starts, not at set-up."""
    content = sha256_of_parts({name: path.read_bytes() for name, path in shipping.kit().items()})
    return Piece("kit", "edgefer's own modules for devices", 1, (content,), install_kit)


def pieces(runtimes: Iterable[str], mirror: str = debian.MIRROR) -> tuple[Piece, ...]:
    """What a board with ``runtimes`` (ids of ``sites.SITES``) needs, the quickest to fail first."""
    return (counter(), system(mirror), *map(site, runtimes))


def set_up(wanted: Sequence[Piece], tell: Callable[[int, Piece], None] | None = None) -> tuple[Built, ...]:
    """Build those of ``wanted`` that are not there; ``tell`` hears the number of each before it is looked at.

    Raises:
        TargetUnavailableError: a program, the network or a package is missing; what to do is said.
        InputError: the cache cannot be written.
    """
    built = []
    for number, piece in enumerate(wanted):
        if tell:
            tell(number, piece)
        begin = time.perf_counter()
        fresh = not piece.ready
        if fresh:
            _build(piece)
        seconds = time.perf_counter() - begin if fresh else 0.0
        built.append(Built(piece, seconds, size_of(piece.place)))
    return tuple(built)


def require(wanted: Iterable[Piece]) -> None:
    """Pass if all pieces are there.

    Raises:
        TargetUnavailableError: one is not; the hint is the command that builds it.
    """
    missing = [piece for piece in wanted if not piece.ready]
    if missing:
        extra = [f"--runtime {piece.id}" for piece in missing if piece.id in sites.SITES]
        hint = " ".join(["run: edgefer emulator setup", *extra])
        lacks = ", ".join(piece.id for piece in missing)
        raise TargetUnavailableError(f"the emulator is not set up: {lacks} missing in {home()}", hint=hint)


def remove() -> int:
    """Delete all pieces, those of other versions included; how many bytes that freed."""
    if not home().is_dir():
        return 0
    freed = size_of(home())
    shutil.rmtree(home())
    return freed


def _build(piece: Piece) -> None:
    try:
        with atomic_directory(piece.place) as folder:
            piece.build(folder)
    except OSError as error:
        raise InputError(
            f"cannot write the cache {piece.place} ({error.strerror or error})",
            hint="set EDGEFER_CACHE to a folder with room",
        ) from error
