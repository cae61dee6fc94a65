"""The ``edgefer`` command: finds the commands, maps errors to one line and an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from typing import NoReturn

import click

import edgefer
import edgefer.cli as rooms
from edgefer import interrupts
from edgefer.errors import EdgeferError, MissingExtraError

NOT_COMMANDS = {
    "main", "console", "models", "options", "data_clean", "recipe_data", "ensembles", "bench_emulated", "bench_hosts",
    "bench_tables", "gate_tables", "files_made",
    "record_places",
}  # fmt: skip


class CommandFolder(click.Group):
    """One command a module of this package, named like the module; imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All command names, sorted."""
        modules = (info.name for info in pkgutil.iter_modules(rooms.__path__))
        return sorted(name.replace("_", "-") for name in modules if name not in NOT_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"edgefer.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer a mistyped command with a suggestion."""
        from edgefer.registry import suggestion

        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}; {suggestion(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


@click.command(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(edgefer.__version__, prog_name="edgefer")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no notes: results and errors only.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Say what is being done, and show tracebacks of failures."
)
def cli(quiet: bool, verbose: bool) -> None:
    """Take a trained facial-expression backbone to a device and prove that it still works there."""
    from edgefer.cli import console

    console.configure(quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the command line."""
    # TensorFlow's native code logs on standard error whatever the logging configuration says.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    interrupts.watch()
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _interrupted()
    except Exception as error:
        if interrupts.seen():
            _interrupted()
        _fail(error)


def _interrupted() -> NoReturn:
    from edgefer.cli import console

    console.fail("interrupted; nothing half-written was left")
    sys.exit(2)


def _fail(error: Exception) -> NoReturn:
    """One line and the exit code of what went wrong; what nobody foresaw keeps its traceback."""
    from edgefer.cli import console
    from edgefer.extras import extra_of_module

    if isinstance(error, ModuleNotFoundError) and error.name and (extra := extra_of_module(error.name)):
        error = MissingExtraError(error.name.partition(".")[0], extra)
    if isinstance(error, click.ClickException):
        console.fail(error.format_message())
        sys.exit(2)
    if isinstance(error, EdgeferError):
        console.fail(str(error), error)
        sys.exit(error.exit_code)
    if isinstance(error, OSError):
        console.fail(f"{error.filename or 'file system'}: {error.strerror or error}", error)
        sys.exit(2)
    raise error
