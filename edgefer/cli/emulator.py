"""``edgefer emulator``: what ``edgefer bench --emulate`` needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.emulation.debian import MIRROR
from edgefer.emulation.sites import PLAIN, SITES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgefer.emulation.pieces import Built, Piece


@click.group()
def command() -> None:
    """Set up what 'edgefer bench --emulate' runs a Raspberry Pi's own files on, without a Raspberry Pi."""


@command.command()
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    type=click.Choice(tuple(SITES)),
    help=f"Runtime to install for arm64, repeatable.  [default: {', '.join(PLAIN)}]",
)
@click.option(
    "--mirror", metavar="URL", default=MIRROR, show_default=True, help="Debian mirror to fetch from."
)
@console.json_option
def setup(runtimes: tuple[str, ...], mirror: str, as_json: bool) -> None:
    """Build an arm64 system in the cache: Debian's Python, the runtimes' aarch64 wheels, an instruction counter.

    No rights are needed and no package of this machine changes. What is there already is kept; an interrupted
    set-up leaves nothing half-made. Needs QEMU's user mode, gcc, apt and the network.
    """
    from edgefer.emulation import pieces, tools

    tools.require(*tools.PACKAGES)
    wanted = pieces.pieces(runtimes or PLAIN, mirror)
    for piece in wanted:
        if not piece.ready:
            console.note(f"to build: {piece.id}, about {piece.megabytes} MB: {piece.what}")
    with console.progress("emulator") as advance:
        built = pieces.set_up(wanted, lambda number, piece: advance(number, len(wanted), piece.id))
        advance(len(wanted), len(wanted), "trying it out")
        tried = _try_out(runtimes or PLAIN)
    for line in tried:
        console.note(line)
    if as_json:
        console.print_json([_facts(each) for each in built])
    else:
        _print(built)


@command.command()
@console.json_option
def status(as_json: bool) -> None:
    """Say what is set up, where, and what is missing on this machine."""
    from edgefer.emulation import pieces
    from edgefer.files import size_of

    rows = [
        {
            "piece": piece.id,
            "state": "ready" if piece.ready else "not built",
            "megabytes": size_of(piece.place) / 1e6 if piece.ready else piece.megabytes,
            "what": piece.what,
        }
        for piece in pieces.pieces(SITES)
    ]
    answer = {"place": str(pieces.home()), "qemu": _qemu(), "pieces": rows}
    if as_json:
        console.print_json(answer)
        return
    title = f"Emulator in {answer['place']}, {answer['qemu']}"
    cells = [(row["piece"], row["state"], f"{row['megabytes']:.0f}", row["what"]) for row in rows]
    console.print_table(title, ("piece", "state", "MB", "what"), cells)


@command.command()
def remove() -> None:
    """Delete all of it from the cache."""
    from edgefer.emulation import pieces

    console.note(f"{pieces.remove() / 1e6:.0f} MB deleted from {pieces.home()}")


def _try_out(runtimes: Sequence[str]) -> list[str]:
    """Start every runtime on every processor that a target names; what was seen, one line a runtime."""
    from edgefer.bench.target import targets
    from edgefer.emulation.board import booted

    processors = [target.emulation for target in targets().values() if target.emulation]
    for runtime in runtimes:
        for processor in processors:
            with booted(processor, SITES[runtime], processes=1) as board:
                board.try_out()
    named = ", ".join(processor.cpu for processor in processors)
    return [f"{runtime} starts on an emulated {named}" for runtime in runtimes]


def _qemu() -> str:
    """QEMU's release, or what is wrong with it."""
    from edgefer.emulation.tools import qemu_release
    from edgefer.errors import TargetUnavailableError

    try:
        return f"QEMU {qemu_release()}"
    except TargetUnavailableError as error:
        return str(error)


def _facts(built: Built) -> dict[str, Any]:
    piece: Piece = built.piece
    place = str(piece.place)
    return {"piece": piece.id, "place": place, "bytes": built.bytes, "seconds": round(built.seconds, 1)}


def _print(built: Sequence[Built]) -> None:
    rows = [
        (each.piece.id, f"{each.bytes / 1e6:.0f}", f"{each.seconds:.1f}" if each.seconds else "there already")
        for each in built
    ]
    console.print_table("Emulator", ("piece", "MB", "seconds"), rows)
    console.note(f"{sum(each.bytes for each in built) / 1e6:.0f} MB in {built[0].piece.place.parent}")
