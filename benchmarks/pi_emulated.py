"""A trained network's files on an emulated Raspberry Pi 4 and 5, beside this machine: the README's table of it.

    edgefer emulator setup
    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/s0-mobilenetv2/model.keras
    edgefer convert runs/s0-mobilenetv2/model.keras --to tflite-fp32,tflite-dynamic,tflite-int8,tflite-int16x8 \
        --labels ferplus-9 --name s0-mobilenetv2 --out runs/pi
    python benchmarks/pi_emulated.py s0-mobilenetv2 runs/pi --data PATH

Writes RunRecords into ``benchmarks/records/pi/NAME``: every file with LiteRT on both boards, and the int8 file with
tflite-runtime, LiteRT's predecessor, as well. A run that was broken off goes on where it was. ``make docs`` brings the
records into the README; a name that stands there has to be one of ``NAMES``.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from benchmarks.costs import edgefer, run
from benchmarks.emulated_results import NAMES, PI

TARGETS = ("raspberry-pi-4", "raspberry-pi-5")
PREDECESSOR = "tflite-runtime"


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("artifacts", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option(
    "--target", "targets", multiple=True, type=click.Choice(TARGETS), default=TARGETS, help="Only these."
)
@click.option(
    "--only", default="*", show_default=True, help="Files to run, of NAME-*.tflite: a pattern for the *."
)
@click.option("--rows", type=click.IntRange(min=1), help="Test rows to answer.  [default: all]")
def main(
    name: str, artifacts: Path, data: str, targets: tuple[str, ...], only: str, rows: int | None
) -> None:
    """Emulate NAME's TFLite files in folder ARTIFACTS."""
    for path in sorted(artifacts.glob(f"{name}-{only}.tflite")):
        for target in targets:
            _bench(path, target, data, rows, PI / name)
            if path.stem.endswith("-int8"):
                _bench(path, target, data, rows, PI / name / PREDECESSOR, "--runtime", PREDECESSOR)


def _bench(path: Path, target: str, data: str, rows: int | None, records: Path, *words: str) -> None:
    """One file on one board; its record takes the place of an older one."""
    part = ("--rows", str(rows)) if rows else ()
    records.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        options = ("--target", target, "--emulate", "--data", data, "--out", out)
        run(edgefer("bench", path, *options, *part, *words))
        for record in Path(out).glob("*.json"):
            shutil.move(record, records / record.name)


if __name__ == "__main__":
    main()
