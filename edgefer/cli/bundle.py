"""``edgefer bundle``."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.cli import console
from edgefer.cli.options import OutPath
from edgefer.errors import InputError

PATH = click.Path(path_type=Path)


@click.command(name="bundle")
@click.argument("artifacts", nargs=-1, required=True, type=PATH)
@click.option(
    "--out", required=True, type=OutPath(), help="A folder, or a file that ends in .tar.gz or .tgz."
)
@click.option(
    "--target",
    "target_id",
    default="raspberry-pi-5",
    show_default=True,
    help="How --bench will measure there: a file in targets/.",
)
@click.option("--wheels", is_flag=True, help="Add the Linux aarch64 wheels, for a device without a network.")
def command(artifacts: tuple[Path, ...], out: Path, target_id: str, wheels: bool) -> None:
    """Pack ARTIFACTS into a folder that runs on a device with numpy, pillow and one runtime.

    There, 'python run_on_device.py' labels images, proves the artifacts on the images they carry (--golden) or
    measures them with the code of 'edgefer bench' (--bench). Files that no device runs are refused.
    """
    from edgefer.artifact import open_artifact
    from edgefer.bench.target import load_target
    from edgefer.files import size_of
    from edgefer.remote.bundle import write_bundle

    target = load_target(target_id)
    if wheels and target.needs.system not in ("", "Linux"):
        raise InputError(f"--wheels are for Linux, target {target.id} is not", hint="leave --wheels out")
    opened = [open_artifact(path) for path in artifacts]
    written = write_bundle(opened, target, out, wheels=wheels)
    console.note(f"wrote {written} ({size_of(written) / 1e6:.1f} MB)")
