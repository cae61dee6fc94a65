"""From the trained FER+ MobileNetV2 to the numbers of the README: convert, verify, bench, report.

    python benchmarks/models.py unpack benchmarks/models/s0-mobilenetv2 runs/s0-mobilenetv2/model.keras
    python benchmarks/s0_mobilenetv2.py runs/s0-mobilenetv2/model.keras --data PATH

Writes RunRecords, ``artifacts.json`` and the training record into ``benchmarks/records/s0-mobilenetv2``, and the
artifacts and the HTML report into ``--out``. ``make docs`` brings them into the README.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click

from benchmarks.costs import RECORDS, edgefer, now, run, write_json
from benchmarks.results import ArtifactList, Made

NAME = "s0-mobilenetv2"
LABELS = "ferplus-9"
BATCHES = "1,8,64,512"
PASSED_OR_FAILED = (0, 3)


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs") / f"{NAME}-bench", show_default=True
)
def main(model: Path, data: str, out: Path) -> None:
    """Take MODEL, a .keras file with its sidecar, through the whole path."""
    records = RECORDS / NAME
    made = _convert(model, data, out / "artifacts")
    write_json(
        records / "artifacts.json", ArtifactList(schema=1, made=now().date().isoformat(), artifacts=made)
    )
    if (training := model.with_name("train.json")).exists():
        shutil.copy(training, records / "train.json")
    files = _bench([out / "artifacts" / each.file for each in made if _runs_here(each)], data, out / "runs")
    _keep(files, records)
    run(edgefer("report", *files, "--out", out / "report"))
    click.echo(f"{len(files)} records in {records}; {out / 'report' / 'report.html'}")


def _convert(model: Path, data: str, out: Path) -> tuple[Made, ...]:
    """All formats in one call, then ``edgefer verify`` on every file that was written."""
    convert = edgefer("convert", model, "--to", "all", "--data", data, "--labels", LABELS, "--name", NAME)
    made = json.loads(run([*convert, "--out", str(out), "--json"], PASSED_OR_FAILED).output)
    paths = [each["path"] for each in made if each["path"]]
    proofs = json.loads(run(edgefer("verify", *paths, "--json"), PASSED_OR_FAILED).output)
    by_path = {proof["artifact"]: proof for proof in proofs}
    return tuple(_made(each, by_path.get(each["path"])) for each in made)


def _made(converted: dict[str, Any], proof: dict[str, Any] | None) -> Made:
    """One entry, without the folder it was written to."""
    facts = {"format": converted["format"], "bytes": converted["bytes"], "seconds": converted["seconds"]}
    if proof is None:
        return Made(**facts, status="error", reason=converted["error"])
    figures = {key: proof[key] for key in ("status", "reason", "max_abs", "row_mean", "top1_agreement")}
    return Made(**facts, file=Path(converted["path"]).name, **figures)


def _runs_here(made: Made) -> bool:
    from edgefer.bench.target import load_target

    return bool(made.file) and load_target("cpu").takes(made.format)


def _bench(paths: list[Path], data: str, out: Path) -> list[Path]:
    options = ("--data", data, "--labels", LABELS, "--batch", BATCHES, "--out", out)
    run(edgefer("bench", *paths, *options))
    return sorted(out.glob("*.cpu.json"))


def _keep(files: list[Path], records: Path) -> None:
    """Let new RunRecords take the place of the old ones."""
    for old in records.glob("*.cpu.json"):
        old.unlink()
    for file in files:
        shutil.copy(file, records / file.name)


if __name__ == "__main__":
    main()
