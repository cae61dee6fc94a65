"""``edgefer collect``."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.cli import console
from edgefer.cli.options import records_option

PATH = click.Path(path_type=Path)


@click.command(name="collect")
@click.argument("results", type=PATH)
@click.argument("artifacts", nargs=-1, required=True, type=PATH)
@click.option(
    "--target",
    "target_id",
    help="What measured: a file in targets/.  [default: what the bundle was made for]",
)
@records_option
@console.json_option
def command(
    results: Path, artifacts: tuple[Path, ...], target_id: str | None, out: Path, as_json: bool
) -> None:
    """Make RunRecords of RESULTS, a folder that 'run_on_device.py --bench --out RESULTS' wrote on a device.

    For a device that SSH does not reach: carry the bundle there and the folder back. ARTIFACTS are the files of that
    bundle; their hashes must be those of the files that ran. What was not measured on the target is refused; times of
    a board that was held back are marked invalid.
    """
    from edgefer.artifact import open_artifact
    from edgefer.bench.record import save_record
    from edgefer.cli.bench_tables import show
    from edgefer.cli.record_places import check_replaced, record_files, record_place
    from edgefer.remote.carried import carried_records, read_carried

    opened = [open_artifact(path) for path in artifacts]
    carried = read_carried(results, opened, target_id or "")
    files = record_files(opened, record_place(carried.target.id, carried.kernels), out)
    records = carried_records(carried)
    check_replaced(files, opened, timed=True, scored=any(record.accuracy for record in records))
    for record, file in zip(records, files, strict=True):
        save_record(record, file)
    show(records, files, as_json)
