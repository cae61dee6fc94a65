"""Instructions of one inference, counted exactly: a plugin that is built here, and what it writes.

The count is of the thread that calls the runtime, so it is taken with one thread. It is a figure of cost without noise,
and never a latency: it knows no caches, no clock and no two instructions at once.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from edgefer.bench.emulated import Instructions
from edgefer.emulation import tools
from edgefer.errors import EdgeferError

SOURCE = Path(__file__).with_name("count_instructions.c")
PLUGIN = "count_instructions.so"
SETTLED = 1
"""Inferences before the first that counts: it packs weights and allocates."""


def build(folder: Path) -> None:
    """Compile the plugin into the empty folder ``folder``.

    Raises:
        TargetUnavailableError: there is no C compiler, or QEMU takes no such plugin.
    """
    tools.require("gcc")
    tools.qemu_release()
    command = ["gcc", "-O2", "-fPIC", "-shared", "-o", str(folder / PLUGIN), str(SOURCE)]
    tools.run(command, "the counting plugin cannot be compiled", hint=tools.installing(["gcc"]))


def read_counts(text: str, where: str) -> Instructions:
    """What the plugin wrote: lines ``INSTRUCTIONS DOT_PRODUCTS``, by turns of nothing and of one inference.

    Raises:
        EdgeferError: it is something else, ``where`` says whose.
    """
    try:
        pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
        empty, full = pairs[2 * SETTLED :: 2], pairs[2 * SETTLED + 1 :: 2]
        overhead = round(statistics.median(count for count, _ in empty))
        counts = tuple(count - overhead for count, _ in full)
        return Instructions(counts=counts, dot_products=tuple(dots for _, dots in full))
    except ValueError as error:
        raise EdgeferError(f"{where}: its instructions were not counted ({error})") from error
