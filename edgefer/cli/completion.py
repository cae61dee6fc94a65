"""``edgefer completion``."""

from __future__ import annotations

import click


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    For instance in ~/.bashrc: eval "$(edgefer completion bash)"
    """
    from click.shell_completion import get_completion_class

    from edgefer.cli.main import cli

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"click has no completion for {shell}")
    click.echo(completion(cli, {}, "edgefer", "_EDGEFER_COMPLETE").source())
