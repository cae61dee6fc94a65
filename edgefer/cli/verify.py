"""``edgefer verify``."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.cli import console
from edgefer.errors import InputError


@click.command(name="verify")
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@console.json_option
def command(artifacts: tuple[Path, ...], as_json: bool) -> int:
    """Prove that ARTIFACTS still do what their backbone did.

    Replays the golden inputs stored in each file and compares with the backbone's stored outputs; checks hashes and
    labels. Needs the file and its runtime, no TensorFlow. Exit code 3 if any check fails, 2 if a file is none of
    edgefer's; the others are checked all the same.
    """
    from edgefer.verification import Verification, verify

    outcomes: list[Verification] = []
    unreadable: list[InputError] = []
    with console.progress("verify") as advance:
        for number, path in enumerate(artifacts):
            advance(number, len(artifacts), path.name)
            try:
                outcomes.append(verify(path))
            except InputError as error:
                unreadable.append(error)
    if as_json:
        console.print_json(outcomes)
    elif outcomes:
        console.print_verifications(outcomes)
    if unreadable:
        for other in unreadable[1:]:
            console.note(str(other))
        raise unreadable[0]
    return 3 if any(outcome.status == "failed" for outcome in outcomes) else 0
