"""Whether ``edgefer compare`` can be trusted: equal files called different, a real slow-down of about 5 % found.

    python benchmarks/trust.py idle --data PATH            about eight minutes on an otherwise idle machine
    python benchmarks/trust.py loaded --data PATH          the same while the machine does other work

The shipped student is benched five times in a row; 40 times beside a copy of itself; ten times beside a twin that
answers the same and has more work (``benchmarks/slower.py``), and once for long, which says how much more. All on one
thread, at batch 1, by ``edgefer bench`` with its own defaults. Runs that are below ``--work`` are not taken again.
Writes ``benchmarks/records/trust/NAME.json``. Invalid records are compared too, and counted.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from benchmarks.costs import RECORDS, edgefer, now, run, write_json
from benchmarks.results import NOT_YET, machine, markdown_table
from benchmarks.slower import shipped, slower
from edgefer.bench.comparing import LEVEL, Compared, compare_batch, round_logs
from edgefer.bench.intervals import signed_rank_interval
from edgefer.bench.record import RunRecord, load_record
from edgefer.spec import Frozen

FOLDER = RECORDS / "trust"
BATCH = 1
LONG_SECONDS = 20


class Pair(Frozen, frozen=True):
    """One comparison, and the share of the machine that others used meanwhile."""

    found: Compared
    others: float | None


class TrustRecord(Frozen, frozen=True):
    """All of it on one machine.

    ``medians_ms`` are of the five runs in a row; ``apart`` compares records of neighbouring runs of ``equal``, and
    ``apart_slower`` those of neighbouring runs of ``slower``; ``truth`` is the long run. ``rounds_alone`` is how many
    of ``equal`` would be called different by the noise of their rounds alone, without the term for placement.

    Schema history: 1 - first version.
    """

    schema: int
    started: str
    environment: dict[str, object]
    medians_ms: tuple[float, ...]
    equal: tuple[Pair, ...]
    apart: tuple[Pair, ...]
    slower: tuple[Pair, ...]
    apart_slower: tuple[Pair, ...]
    truth: Compared
    rounds_alone: int
    runs: int
    invalid: int


@click.command()
@click.argument("name")
@click.option(
    "--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER+: it calibrates the twin."
)
@click.option(
    "--work", type=click.Path(path_type=Path), help="Folder of the runs.  [default: runs/trust/NAME]"
)
@click.option("--equal", default=40, show_default=True, help="Runs of the student beside its copy.")
@click.option("--slowed", default=10, show_default=True, help="Runs of the student beside its twin.")
def main(name: str, data: str, work: Path | None, equal: int, slowed: int) -> None:
    """Take the record NAME, for instance idle."""
    os.environ.pop("EDGEFER_DATA", None)  # it would score every run
    folder = work or Path("runs/trust") / name
    files = _files(folder, data)
    started = now().isoformat(timespec="seconds")
    alone = [_bench(folder / f"alone-{n}", files[:1])[0] for n in range(5)]
    pairs = [_bench(folder / f"equal-{n}", files[:2]) for n in _counted("equal", equal)]
    twins = [_bench(folder / f"slower-{n}", files[::2]) for n in _counted("slower", slowed)]
    long = _bench(folder / "long", files[::2], "--min-time", str(LONG_SECONDS))
    every = [*alone, *itertools.chain(*pairs, *twins), *long]
    record = TrustRecord(
        schema=1,
        started=started,
        environment=long[0].environment,
        medians_ms=tuple(each.timings[0].latency_ns() / 1e6 for each in alone),
        equal=tuple(itertools.starmap(_pair, pairs)),
        apart=tuple(_pair(one[0], two[0]) for one, two in itertools.pairwise(pairs)),
        slower=tuple(itertools.starmap(_pair, twins)),
        apart_slower=tuple(_pair(one[0], two[1]) for one, two in itertools.pairwise(twins)),
        truth=compare_batch(long[:1], long[1:], BATCH),
        rounds_alone=sum(_rounds_differ(*pair) for pair in pairs),
        runs=len(every),
        invalid=sum(bool(each.invalid) for each in every),
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(FOLDER / f"{name}.json", record)
    click.echo("\n".join(f"{title}: {text}" for title, text in zip(COLUMNS, _row(name, record), strict=True)))


def _files(folder: Path, data: str) -> list[Path]:
    """The student, its copy, its slower twin."""
    folder.mkdir(parents=True, exist_ok=True)
    student, copy = folder / "student-int8.tflite", folder / "copy-int8.tflite"
    for file in (student, copy):
        shutil.copy(shipped(), file)
    return [student, copy, slower(folder.parent / "twin", data)]


def _bench(folder: Path, files: Sequence[Path], *options: str) -> list[RunRecord]:
    """Records of the files, measured together; those of an earlier call if they are all there."""
    records = [folder / f"{file.stem}.tflite-int8.cpu.json" for file in files]
    if not all(record.exists() for record in records):
        run(edgefer("-q", "bench", *files, "--threads", 1, "--batch", BATCH, "--out", folder, *options))
    return [load_record(record) for record in records]


def _counted(what: str, count: int) -> Iterator[int]:
    for number in range(count):
        click.echo(f"{what} {number + 1} of {count}", err=True)
        yield number


def _pair(a: RunRecord, b: RunRecord) -> Pair:
    receipts = [record.timings[0].receipt for record in (a, b)]
    shares = [receipt.others for receipt in receipts if receipt and receipt.others is not None]
    return Pair(found=compare_batch([a], [b], BATCH), others=max(shares, default=None))


def _rounds_differ(a: RunRecord, b: RunRecord) -> bool:
    """Whether the interval of the rounds excludes that the two are equal."""
    found = signed_rank_interval(round_logs(a.timings[0], b.timings[0]), LEVEL)
    return found is not None and not found[1] <= 0 <= found[2]


COLUMNS = (
    "machine",
    "used by others, median",
    "invalid records",
    "five medians, ms",
    "their spread",
    "equal, one run: called different",
    "the same by the rounds' noise alone",
    "equal, different runs: called different",
    "slower twin, 20 s",
    "found, one run",
    "found, different runs",
)


def table() -> str:
    """All committed records, a column each, and the machine under it."""
    files = sorted(FOLDER.glob("*.json"))
    if not files:
        return NOT_YET
    records = [(file.stem, msgspec.json.decode(file.read_bytes(), type=TrustRecord)) for file in files]
    rows = list(zip(COLUMNS, *(_row(name, record) for name, record in records), strict=True))
    last = records[-1][1]
    where = f"{machine(last.environment)}; {last.started[:10]}."
    return f"{markdown_table(tuple(rows[0]), rows[1:], numbers=False)}\n\n{where}"


def _row(name: str, record: TrustRecord) -> tuple[str, ...]:
    medians, truth = record.medians_ms, record.truth
    shares = sorted(pair.others for pair in (*record.equal, *record.slower) if pair.others is not None)
    return (
        name,
        f"{shares[len(shares) // 2]:.0%}" if shares else "not told",
        f"{record.invalid} of {record.runs}",
        ", ".join(f"{value:.4f}" for value in medians),
        f"{max(medians) / min(medians) - 1:.1%}",
        _count(record.equal, {"faster", "slower"}),
        f"{record.rounds_alone} of {len(record.equal)}",
        _count(record.apart, {"faster", "slower"}),
        f"{truth.ratio:.4f}"
        + (f" ({truth.low:.4f} to {truth.high:.4f})" if truth.low and truth.high else ""),
        _count(record.slower, {"slower"}),
        _count(record.apart_slower, {"slower"}),
    )


def _count(pairs: Iterable[Pair], verdicts: set[str]) -> str:
    all_pairs = list(pairs)
    return f"{sum(pair.found.verdict in verdicts for pair in all_pairs)} of {len(all_pairs)}"


if __name__ == "__main__":
    main()
