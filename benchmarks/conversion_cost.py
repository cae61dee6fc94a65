"""Seconds and peak memory of ``edgefer convert``, each in a fresh process, on four larger networks.

    python benchmarks/conversion_cost.py --all

Writes ``benchmarks/records/conversion-cost.json``. The networks are briefly trained (see ``networks.py``); data and
calibration are the synthetic faces, parsed beforehand.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.costs import Cost, Outcome, edgefer, now, run, save
from benchmarks.networks import NETWORKS

LIMIT_SECONDS, LIMIT_BYTES = 90.0, 3_000_000_000
PASSED_OR_FAILED = (0, 3)


@click.command()
@click.option("--all", "every", is_flag=True, help="Also convert each network to all formats in one call.")
def main(every: bool) -> None:
    """Convert the networks to tflite-int8 and write down what it costs."""
    started, costs = now(), []
    with tempfile.TemporaryDirectory(prefix="edgefer-") as scratch:
        run(edgefer("data", "import", "--data", "synthetic"))
        for name in NETWORKS:
            model = Path(scratch) / f"{name}.keras"
            run([sys.executable, str(Path(__file__).with_name("networks.py")), name, str(model)])
            costs += [_cost(model, formats) for formats in ("tflite-int8", *(["all"] if every else []))]
            click.echo(f"{name}: {', '.join(f'{cost.seconds[0]:.0f} s' for cost in costs[-1 - every :])}")
    click.echo(save("conversion-cost", costs, started))


def _cost(model: Path, formats: str) -> Cost:
    """Convert once; the limits hold for a single format."""
    command = edgefer("convert", model, "--to", formats, "--data", "synthetic", "--json")
    ran = run([*command, "--out", str(model.with_suffix(".artifacts"))], PASSED_OR_FAILED)
    single = formats != "all"
    return Cost(
        what=f"{model.stem} to {'all formats in one call' if formats == 'all' else formats}",
        seconds=(ran.seconds,),
        limit_seconds=LIMIT_SECONDS if single else None,
        peak_bytes=ran.peak_bytes,
        limit_bytes=LIMIT_BYTES if single else None,
        outcomes=tuple(map(outcome, json.loads(ran.output))),
    )


def outcome(made: dict[str, Any]) -> Outcome:
    """One entry of what ``edgefer convert --json`` prints."""
    proof = made["verification"]
    if made["error"]:
        return Outcome(format=made["format"], status="error", reason=made["error"])
    return Outcome(format=made["format"], status=proof["status"], reason=proof["reason"])


if __name__ == "__main__":
    main()
