"""The README's tables, as Markdown, from committed records only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.costs import RECORDS, Cost, CostRecord
from benchmarks.seeds.epoch_cost import EpochCostRecord
from edgefer.bench.record import Accuracy
from edgefer.report import words
from edgefer.report.collect import Group, Run, collect
from edgefer.report.page import markdown_cell
from edgefer.report.tables import Cell, summary_table
from edgefer.report.verdict import blind_spots, judge, timing_at
from edgefer.spec import Frozen
from edgefer.training.record import TrainRecord

NOT_YET = "Not measured yet."
BULK = 64


class Made(Frozen, frozen=True):
    """One format of a conversion: the file (empty if none was written) and how ``edgefer verify`` found it."""

    format: str
    bytes: int
    seconds: float
    status: str
    file: str = ""
    reason: str = ""
    max_abs: float | None = None
    row_mean: float | None = None
    top1_agreement: float | None = None


class ArtifactList(Frozen, frozen=True):
    """All formats of one conversion. Schema history: 1 — first version."""

    schema: int
    made: str
    artifacts: tuple[Made, ...]


def results(name: str, records: Path = RECORDS) -> str:
    """The artifacts of one trained model: what they were measured on, the table, the verdict."""
    folder = records / name
    files = sorted(folder.glob("*.cpu.json"))
    if not files:
        return NOT_YET
    (group,) = collect(files)
    made = _read(folder / "artifacts.json", ArtifactList).artifacts
    paragraphs = [_training(folder / "train.json"), _measured(group), _table(group, made), _verdict(group)]
    return "\n\n".join(filter(None, paragraphs))


def _training(path: Path) -> str:
    """Recipe, what was changed, what training started from, and what the recipe's source reports."""
    if not path.exists():
        return ""
    record = _read(path, TrainRecord)
    recipe, changed = record.request.recipe, record.request.overrides
    settings = f", changed by {', '.join(f'`{each}`' for each in changed)}" if changed else ""
    reported = ", ".join(f"{key} {value:g}" for key, value in recipe.source.reported.items())
    source = f" Its source reports {reported}. {recipe.source.remark}" if reported else ""
    return (
        f"Trained by recipe `{recipe.id}`{settings}; from {_origin(record.weights)}; epoch {record.best_epoch} of "
        f"{record.epochs} chosen on the validation split; {record.parameters:,} parameters; "
        f"{record.seconds / 3600:.1f} h.{source}"
    )


def _origin(weights: str) -> str:
    """What training started from, without the address in a failed download's message."""
    head, colon, _ = weights.partition(": ")
    return f"{head})" if colon else head


def _measured(group: Group) -> str:
    """Machine, date, rows and the float backbone's own score."""
    record = group.runs[0].record
    dates = sorted({run.record.started[:10] for run in group.runs})
    where = (
        f"{group.kind.capitalize()} on target `{group.target}`, {machine(record.environment)}; {dates[0]}."
    )
    return f"{where} {_rows(record.accuracy)}".strip()


def machine(environment: dict[str, Any]) -> str:
    """What the numbers were taken on, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return (
        f"{environment['cpu']}, {environment['threads']} threads on {environment['usable_cores']} logical "
        f"cores, {environment['memory_bytes'] / 1e9:.0f} GB, {environment['os']}, "
        f"Python {environment['python']}, {versions}"
    )


def _rows(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    data = f"{accuracy.data}{' (synthetic)' * accuracy.synthetic}"
    count = f"F1 on all {accuracy.full.n:,} test rows of {data}, {accuracy.clean.n:,} without leaked ones."
    if (base := accuracy.baseline) is None:
        return count
    return (
        f"{count} Float backbone: weighted F1 {words.f1(base.full.weighted_f1)}, macro "
        f"{words.f1(base.full.macro_f1)}; without leaked rows {words.f1(base.clean.weighted_f1)} and "
        f"{words.f1(base.clean.macro_f1)}."
    )


def _table(group: Group, made: Sequence[Made]) -> str:
    """The report's summary table, FPS in bulk and verification added; then the formats that do not run here."""
    proofs = {each.format: each for each in made}
    table = summary_table(group)
    columns = (*table.columns[:-1], "FPS (batch 1)", f"FPS (batch {BULK})", "verified")
    rows = [
        (*map(_text, cells), _bulk(run), _verified(proofs[run.record.artifact.format]))
        for run, cells in zip(group.runs, table.bodies[0].rows, strict=True)
    ]
    measured = {run.record.artifact.format for run in group.runs}
    rows += [_unmeasured(each, len(columns)) for each in made if each.format not in measured]
    return markdown_table(columns, rows)


def _text(cell: Cell) -> str:
    return f"{cell.text} ({cell.mark})" if cell.mark else cell.text


def _bulk(run: Run) -> str:
    timing = timing_at(run, BULK)
    if timing is None:
        return words.ABSENT
    return words.fps(timing.fps) + " (unstable)" * bool(timing.unstable)


def _verified(made: Made) -> str:
    return f"{made.status}: {made.reason}" if made.reason else made.status


def _unmeasured(made: Made, columns: int) -> tuple[str, ...]:
    size = words.kilobytes(made.bytes) if made.bytes else words.ABSENT
    return (made.format, size, *([words.ABSENT] * (columns - 3)), _verified(made))


def _verdict(group: Group) -> str:
    verdict = judge(group)
    lines = [verdict.sentence]
    if lost := blind_spots([group]):
        lines[0] += f" The float backbone itself never recognises {words.listing(lost)} (F1 0)."
    if any(timing.unstable for run in group.runs for timing in run.record.timings):
        lines[0] += (
            " Timings marked unstable were taken on a shared machine that did not keep still: compare them as ratios "
            "within this table, they were measured interleaved; the records say how unstable each was."
        )
    problems = [each for each in verdict.problems if not each.text.startswith("unstable")]
    lines += [f"- {markdown_cell(f'{each.label}: {each.text}')}" for each in problems]
    return "\n".join([lines[0], *([""] if problems else []), *lines[1:]])


def costs(records: Path = RECORDS) -> str:
    """What converting costs, and how long a user waits."""
    titles = {"conversion-cost": "Converting", "responsiveness": "Waiting"}
    parts = [f"**{title}.** {_costs(records / f'{name}.json')}" for name, title in titles.items()]
    return "\n\n".join([*parts, f"**Training.** {_epochs(records / 'epoch-cost.json')}"])


def _epochs(path: Path) -> str:
    """Step times and peak memory measured, epochs computed from them."""
    if not path.exists():
        return NOT_YET
    record = _read(path, EpochCostRecord)
    columns = (
        "recipe",
        "input",
        "batch",
        "parameters",
        "MACs, M",
        "step, ms",
        "epoch, s (computed)",
        "peak memory, MB",
    )
    rows = [
        (
            f"`{one.recipe}`",
            one.input,
            str(one.batch_size),
            f"{one.parameters:,}",
            f"{one.macs / 1e6:,.1f}",
            f"{1000 * median(one.step_seconds):,.0f}",
            f"{one.epoch_seconds:,.0f}",
            words.megabytes(one.peak_bytes),
        )
        for one in record.costs
    ]
    head = f"{machine(record.environment)}; {record.started[:10]}."
    return f"{head}\n\n{markdown_table(columns, rows)}"


def _costs(path: Path) -> str:
    if not path.exists():
        return NOT_YET
    record = _read(path, CostRecord)
    columns = ("each in a fresh process", "runs", "median, s", "least to most, s", "limit, s")
    memory = any(cost.peak_bytes for cost in record.costs)
    rows = [_cost_row(cost, memory=memory) for cost in record.costs]
    more = ("peak memory, MB", "limit, MB", "verified") if memory else ()
    table = markdown_table((*columns, *more), rows)
    return f"{machine(record.environment)}; {record.started[:10]}. {record.remark}".strip() + f"\n\n{table}"


def _cost_row(cost: Cost, *, memory: bool) -> tuple[str, ...]:
    limit = words.ABSENT if cost.limit_seconds is None else f"{cost.limit_seconds:g}"
    spread = f"{min(cost.seconds):.2f} to {max(cost.seconds):.2f}"
    row = (cost.what, str(len(cost.seconds)), f"{median(cost.seconds):.2f}", spread, limit)
    sizes = (cost.peak_bytes, cost.limit_bytes)
    return (*row, *map(words.megabytes, sizes), _counted(cost)) if memory else row


def _counted(cost: Cost) -> str:
    """``8 passed, 5 skipped``; what neither passed nor was skipped by name, with the reason."""
    statuses = [outcome.status for outcome in cost.outcomes]
    counts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
    troubles = [f"{o.format}: {o.reason}" for o in cost.outcomes if o.status not in ("passed", "skipped")]
    return "; ".join([", ".join(counts), *troubles])


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """A table; with ``numbers`` all columns but the first and the last hold some and are right-aligned."""
    inner = "---:" if numbers else "---"
    ruler = ["---", *[inner] * (len(columns) - 2), "---"]
    lines = [columns, ruler, *([markdown_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read(path: Path, kind: Any) -> Any:
    return msgspec.json.decode(path.read_bytes(), type=kind)
