"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgefer.recipe import SEEDS


class OutPath(click.Path):
    """What a command will write: refused before the work, not after it, where nothing can be written."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path as click has it.

        Raises:
            click.BadParameter: a file stands where a folder is to be, or may not be written into.
        """
        path: Path = super().convert(value, param, ctx)  # type: ignore[assignment]  # click's path_type says so
        whole = path.absolute()
        there = next(each for each in (whole, *whole.parents) if each.exists())
        if there != whole and not there.is_dir():
            self.fail(f"{path}: {there} is a file, not a folder", param, ctx)
        if not os.access(there, os.W_OK):
            self.fail(f"{path}: {there} may not be written", param, ctx)
        return path


def with_options(command: Callable[..., Any], *options: Callable[[Any], Any]) -> Callable[..., Any]:
    """Add click's ``options`` to a command; help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def records_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--out``, where RunRecords go, passed on as ``out: Path``."""
    return click.option(
        "--out",
        type=OutPath(file_okay=False),
        default=Path("runs"),
        show_default=True,
        help="Folder for the RunRecords.",
    )(command)


def seed_option(words: str) -> Callable[[Any], Any]:
    """Add ``--seed`` with these words of help, passed on as ``seed: int``."""
    return click.option("--seed", type=click.IntRange(0, SEEDS - 1), default=0, show_default=True, help=words)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` and ``--labels``, passed on as ``data: str | None`` and ``labels: str | None``."""
    data = click.option(
        "--data",
        envvar="EDGEFER_DATA",
        show_envvar=True,
        metavar="PATH",
        help="File or folder of labelled faces, or the word 'synthetic'.",
    )
    labels = click.option(
        "--labels",
        metavar="SET",
        help="Label set, e.g. ferplus-9, ferplus-8, fer2013-7, folder.  [default: the model's, else the layout's]",
    )
    return data(labels(command))


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a user states about a foreign model: ``range_``, ``color``, ``logits``, ``trust``."""
    options = (
        click.option(
            "--range",
            "range_",
            metavar="RANGE",
            help="What pixels 0..255 become: 0..1, -1..1, 0..255 or mean:M,M,M/std:S,S,S in units of pixel/255.",
        ),
        click.option(
            "--color",
            type=click.Choice(["gray", "rgb", "bgr"]),
            help="Colour order of a 3-channel model; gray (three equal channels) unless stated.",
        ),
        click.option("--logits", is_flag=True, help="The model's outputs are logits: add a softmax."),
        click.option(
            "--trust", is_flag=True, help="Load a file that carries code (Lambda layers, custom objects)."
        ),
    )
    return with_options(command, *options)


def timing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how a file is run and for how long: ``threads``, ``min_time`` and ``kernels``."""
    options = (
        click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the target's]"),
        click.option(
            "--min-time",
            type=click.FloatRange(min=0, min_open=True),
            help="Seconds of samples an artifact and batch size, at least.  [default: the target's]",
        ),
        click.option(
            "--kernels",
            type=click.Choice(["xnnpack", "builtin", "reference"]),
            help="TFLite's kernels.  [default: xnnpack]",
        ),
    )
    return with_options(command, *options)


def batch_sizes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """``1,8,64`` to a tuple of positive whole numbers, each once."""
    if value is None:
        return None
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise click.BadParameter(
            f"{value!r} is no list of batch sizes; write for example 1,8,64", context, parameter
        )
    return tuple(dict.fromkeys(int(word) for word in words))
