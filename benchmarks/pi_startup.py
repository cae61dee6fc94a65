"""How long ``run_on_device.py --golden`` takes to start on an emulated Raspberry Pi: wall seconds under emulation.

    edgefer emulator setup
    python benchmarks/pi_startup.py edgefer/zoo/student-micro/student-micro-int8.tflite

Three programs are timed in turn, each in a fresh process: Python that does nothing, Python that imports the runtime,
and the bundle that proves itself. What the third takes beyond the second is the runner's own: its modules, reading and
hashing the file, loading it, sixteen images. The seconds are QEMU's, not a board's; those of the processor leave out
what other work on the machine took meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.costs import edgefer, now, run, write_json
from benchmarks.emulated_results import PI, StartUp, StartUps, Took
from edgefer.bench.environment import cpu_model
from edgefer.bench.target import load_target
from edgefer.emulation.board import booted
from edgefer.emulation.guest import Guest
from edgefer.emulation.sites import SITES
from edgefer.emulation.tools import qemu_release

TARGETS = ("raspberry-pi-4", "raspberry-pi-5")
RUNTIMES = ("ai-edge-litert", "tflite-runtime")


@click.command()
@click.argument("artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default=7, show_default=True, help="Fresh processes a program.")
def main(artifact: Path, runs: int) -> None:
    """Time the start of ARTIFACT's bundle on both boards, with both runtimes."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        run(edgefer("bundle", artifact, "--out", bundle))
        started = tuple(_boards(bundle, artifact.name, runs))
    record = StartUps(1, now().date().isoformat(), cpu_model(), qemu_release(), started)
    write_json(PI / f"{artifact.stem}.startup.json", record)


def _boards(bundle: Path, name: str, runs: int) -> Iterator[StartUp]:
    for target in TARGETS:
        for runtime in RUNTIMES:
            site = SITES[runtime]
            with booted(load_target(target).emulation, site, processes=1) as board:
                # The bundle brings its own modules: the board has the runtime's packages only.
                bare = replace(board.guest, packages=board.guest.packages[-1:])
                programs = {
                    "python": ("-c", "pass"),
                    "runtime_import": ("-c", f"import {site.module}"),
                    "golden": (str(bundle / "run_on_device.py"), "--golden"),
                }
                took: dict[str, list[Took]] = {program: [] for program in programs}
                for _ in range(runs):
                    for program, words in programs.items():
                        took[program].append(_time(bare, *words))
            yield StartUp(target, runtime, name, **{key: tuple(values) for key, values in took.items()})


def _time(guest: Guest, *words: str) -> Took:
    """One program on the board."""
    begin, command = time.perf_counter(), guest.command(*words)
    with subprocess.Popen(command, env=guest.environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"exit {process.returncode}: {' '.join(command)}")
    return Took(round(time.perf_counter() - begin, 3), round(usage.ru_utime + usage.ru_stime, 3))


if __name__ == "__main__":
    main()
