"""``edgefer bench --host``: the same job on other machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.options import with_options

if TYPE_CHECKING:
    from edgefer.artifact import Artifact
    from edgefer.bench.record import RunRecord
    from edgefer.bench.runner import Job
    from edgefer.errors import EdgeferError
    from edgefer.remote.hosts import Outcome


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what names other machines: ``host``, ``remote_python``, ``remote_cache``."""
    options = (
        click.option(
            "--host",
            multiple=True,
            metavar="[USER@]HOST",
            help="Run there, by OpenSSH, with its configuration and keys; several run side by side.",
        ),
        click.option(
            "--remote-python",
            metavar="COMMAND",
            help="Python 3.11 or newer on the host, with numpy, pillow and the runtime.  [default: python3]",
        ),
        click.option(
            "--remote-cache/--no-remote-cache",
            default=None,
            help="Keep what was sent in the host's ~/.cache/edgefer-device, so that it is not sent again.  "
            "[default: keep]",
        ),
    )
    return with_options(command, *options)


def on_hosts(
    artifacts: Sequence[Artifact],
    job: Job,
    files: Sequence[Path],
    addresses: Sequence[str],
    python: str | None,
    *,
    cache: bool | None,
) -> tuple[list[tuple[RunRecord, Path]], EdgeferError | None]:
    """Bench on all hosts; their records with the files they are in, and the error of one that failed.

    Each host's records stand in a folder of its name beside ``files``, the places of this machine's own, from when it
    is done: an interruption does not lose them. All failures but the one that is returned are said here.
    """
    from edgefer.bench.record import save_record
    from edgefer.errors import InputError
    from edgefer.remote.hosts import Host, bench_on_hosts

    hosts = [Host(address, python or "python3", cache is not False) for address in addresses]
    if len({_folder(address) for address in addresses}) < len(hosts):
        raise InputError("two of the hosts have the same name", hint="name each once")
    outcomes: dict[str, Outcome] = {}
    with console.progress("bench") as advance:
        for outcome in bench_on_hosts(artifacts, job, hosts, advance, console.note):
            outcomes[outcome.host.address] = outcome
            for record, file in _places(outcome, files):
                save_record(record, file)
    in_order = [outcomes[address] for address in addresses]
    failures = [outcome.error for outcome in in_order if outcome.error]
    for failure in failures[1:]:
        console.fail(str(failure))
    found = [pair for outcome in in_order for pair in _places(outcome, files)]
    return found, failures[0] if failures else None


def _places(outcome: Outcome, files: Sequence[Path]) -> list[tuple[RunRecord, Path]]:
    """A host's records with the files they belong in; none where it failed."""
    return list(zip(outcome.records, files_of_host(files, outcome.host.address), strict=False))


def files_of_host(files: Sequence[Path], address: str) -> list[Path]:
    """Where a host's records go, for the places ``files`` of this machine's own."""
    return [file.parent / _folder(address) / file.name for file in files]


def _folder(address: str) -> str:
    """A host's name as a folder's; whose account it is stays out of it."""
    return re.sub(r"[^\w.-]", "_", address.rpartition("@")[2])
