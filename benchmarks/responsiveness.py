"""How long a user waits: for help, for data that was parsed before, for the F1 of a file.

    python benchmarks/responsiveness.py artifacts/s0-mobilenetv2-int8.tflite --data PATH

Writes ``benchmarks/records/responsiveness.json``. Every run is a fresh process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.costs import Cost, edgefer, now, run, save

LOAD = """
import sys, time
from edgefer.datasets.loading import load
begin = time.perf_counter()
load(sys.argv[1], "fer2013-7")
print(time.perf_counter() - begin)
"""


@click.command()
@click.argument("artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--runs", default=10, show_default=True, help="Runs of each command.")
def main(artifact: Path, data: str, runs: int) -> None:
    """Time the commands on ARTIFACT, an int8 file made for FER+."""
    started = now()
    costs = [_help(runs), *_second_load(data, runs), _score(artifact, data, runs)]
    for cost in costs:
        click.echo(f"{cost.what}: {min(cost.seconds):.2f} to {max(cost.seconds):.2f} s")
    click.echo(save("responsiveness", costs, started))


def _help(runs: int) -> Cost:
    seconds = tuple(run(edgefer("--help")).seconds for _ in range(runs))
    return Cost(what="`edgefer --help`", seconds=seconds, limit_seconds=0.5)


def _second_load(data: str, runs: int) -> list[Cost]:
    """Both ways of counting, after one load that fills the cache."""
    command = [sys.executable, "-c", LOAD, data]
    run(command)
    ran = [run(command) for _ in range(runs)]
    alone, whole = tuple(float(each.output) for each in ran), tuple(each.seconds for each in ran)
    return [
        Cost(what="second load of FER2013 (35,887 rows)", seconds=alone, limit_seconds=0.5),
        Cost(what="the same with the start of Python", seconds=whole),
    ]


def _score(artifact: Path, data: str, runs: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="edgefer-") as out:
        command = edgefer("bench", artifact, "--accuracy-only", "--data", data, "--out", out, "--json")
        ran = [run(command) for _ in range(runs + 1)][1:]  # the first fills the cache
    (summary,) = json.loads(ran[0].output)
    rows = summary["accuracy"]["full"]["n"]
    what = f"`edgefer bench --accuracy-only`: F1 of {summary['format']} on all {rows:,} test rows"
    return Cost(what=what, seconds=tuple(each.seconds for each in ran), limit_seconds=3.0)


if __name__ == "__main__":
    main()
