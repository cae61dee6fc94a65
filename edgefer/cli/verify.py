"""``edgefer verify``."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.cli import console


@click.command(name="verify")
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@console.json_option
def command(artifacts: tuple[Path, ...], as_json: bool) -> int:
    """Prove that ARTIFACTS still do what their backbone did.

    Replays the golden inputs stored in each file and compares with the backbone's stored outputs; checks hashes and
    labels. Needs the file and its runtime, no TensorFlow. Exit code 3 if any check fails, 2 if a file is no artifact.
    """
    from edgefer.errors import InputError
    from edgefer.verification import verify

    outcomes, refused = [], []
    with console.progress("verify") as advance:
        for number, path in enumerate(artifacts):
            advance(number, len(artifacts), path.name)
            try:
                outcomes.append(verify(path))
            except InputError as error:  # it says nothing of the other files
                refused.append(error)
    if as_json:
        console.print_json(outcomes)
    elif outcomes:
        console.print_verifications(outcomes)
    for one in refused:
        console.fail(str(one), one)
    if refused:
        return InputError.exit_code
    return 3 if any(outcome.status == "failed" for outcome in outcomes) else 0
