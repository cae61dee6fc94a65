"""A trained network's files on an emulated Raspberry Pi 4 and 5, beside this machine: the README's table of it.

    edgefer emulator setup
    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/s0-mobilenetv2/model.keras
    edgefer convert runs/s0-mobilenetv2/model.keras --to tflite-fp32,tflite-dynamic,tflite-int8,tflite-int16x8 \
        --labels ferplus-9 --name s0-mobilenetv2 --out runs/pi
    python benchmarks/pi_emulated.py s0-mobilenetv2 runs/pi --data PATH

Writes RunRecords into ``benchmarks/records/pi/NAME``: every file with LiteRT on both boards, and the int8 file with
tflite-runtime, LiteRT's predecessor, as well. Then a bundle of each file proves itself there, with both runtimes:
``NAME.bundle.json`` beside the folder. A run that was broken off goes on where it was. ``make docs`` brings all of it
into the README; a name that stands there has to be one of ``NAMES``.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from benchmarks.costs import edgefer, now, run, write_json
from benchmarks.emulated_results import NAMES, PI, BundleProof, BundleProofs
from edgefer.emulation.guest import Guest

TARGETS = ("raspberry-pi-4", "raspberry-pi-5")
PRESENT, PREDECESSOR = "ai-edge-litert", "tflite-runtime"


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
    paths = sorted(artifacts.glob(f"{name}-{only}.tflite"))
    for path in paths:
        for target in targets:
            _bench(path, target, data, rows, PI / name)
            if path.stem.endswith("-int8"):
                _bench(path, target, data, rows, PI / name / PREDECESSOR, "--runtime", PREDECESSOR)
    if paths and only == "*":
        proofs = tuple(_bundle(paths, targets))
        record = BundleProofs(schema=1, made=now().date().isoformat(), proofs=proofs)
        write_json(PI / f"{name}.bundle.json", record)


def _bench(path: Path, target: str, data: str, rows: int | None, records: Path, *words: str) -> None:
    """One file on one board; its record takes the place of an older one."""
    part = ("--rows", str(rows)) if rows else ()
    records.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        options = ("--target", target, "--emulate", "--data", data, "--out", out)
        run(edgefer("bench", path, *options, *part, *words))
        for record in Path(out).glob("*.json"):
            shutil.move(record, records / record.name)


def _bundle(paths: Sequence[Path], targets: Sequence[str]) -> Iterator[BundleProof]:
    """Let a bundle of each file prove itself on each board, with each of the two runtimes."""
    from edgefer.bench.target import load_target
    from edgefer.emulation.board import booted
    from edgefer.emulation.sites import SITES

    with tempfile.TemporaryDirectory() as scratch:
        for path in paths:
            run(edgefer("bundle", path, "--out", Path(scratch) / path.stem))
        for target, runtime in itertools.product(targets, (PRESENT, PREDECESSOR)):
            with booted(load_target(target).emulation, SITES[runtime], processes=1) as board:
                # The bundle brings its own modules: the board has the runtime's packages only.
                bare = replace(board.guest, packages=board.guest.packages[-1:])
                for path in paths:
                    yield _prove(bare, Path(scratch) / path.stem, BundleProof(target, path.name, runtime))


def _prove(guest: Guest, bundle: Path, asked: BundleProof) -> BundleProof:
    """What one bundle says of its golden images; a runtime that refuses the file is an answer as well."""
    command = guest.command(bundle / "run_on_device.py", "--golden", "--json")
    said = subprocess.run(command, env=guest.environment, capture_output=True, text=True)
    if not said.stdout:
        reason = said.stderr.strip().partition("\n")[0].replace(f"{bundle}/artifacts/", "")
        return msgspec.structs.replace(asked, status="refused", reason=reason.removeprefix("error: "))
    (found,) = json.loads(said.stdout)
    kept = ("status", "reason", "executed_on", "max_abs", "row_mean", "top1")
    return msgspec.structs.replace(asked, **{key: found[key] for key in kept})


if __name__ == "__main__":
    main()
