"""Gates: the verdict in a line, drops with their intervals, what became of the classes, and rows to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefer.gating.record import ClassChange, Flip, Gate, Interval, Side
from edgefer.report import words
from edgefer.report.collect import Gated
from edgefer.report.gate_plots import class_plot
from edgefer.report.svg import Plot
from edgefer.report.tables import Body, Cell, Table, heat

Pictures = Mapping[Path, Sequence[str]]
"""Of each gate's file, the pictures of its ``worst`` rows, in order, as data URIs."""

NO_PICTURES = (
    "A record holds row numbers, no faces: 'edgefer report --data PATH' shows them from your own data."
)


@dataclass(frozen=True)
class Shown:
    """A changed row: its picture (a data URI, or "") with its text alternative ``alt``, and what the change did."""

    picture: str
    alt: str
    flip: Flip
    now: str


@dataclass(frozen=True)
class GateChapter:
    """Everything about one gate. ``without`` says why there are no pictures, if so."""

    title: str
    anchor: str
    word: str
    label: str
    against: str
    reasons: tuple[str, ...]
    rows: str
    figures: Table
    classes: Table
    plot: Plot
    flips: Table | None
    worst: tuple[Shown, ...]
    without: str


def gate_chapter(number: int, gated: Gated, pictures: Pictures) -> GateChapter:
    """One gate as the page shows it; its anchor is numbered."""
    gate = gated.gate
    title = f"{gated.label} against {gated.against}, {gate.rows.rows:,} rows"
    shown = pictures.get(gated.path, ())
    return GateChapter(
        title=title,
        anchor=f"gate-{number}",
        word=gate.gate,
        label=gated.label,
        against=gated.against,
        reasons=gate.reasons,
        rows=_rows(gate),
        figures=_figures(gate, title),
        classes=_classes(gate, title),
        plot=class_plot(gate, title, f"gate {number} {gated.label}"),
        flips=_flips(gate) if gate.changed else None,
        worst=tuple(_shown(gate, shown)),
        without="" if shown or not gate.worst else NO_PICTURES,
    )


def _rows(gate: Gate) -> str:
    used = gate.rows
    left_out = f", {used.left_out:,} leaked ones left out" if used.left_out else ""
    mark = ", synthetic" if used.synthetic else ""
    return f"{used.rows:,} of {used.of_rows:,} test rows of {used.data}{mark}{left_out}"


def _figures(gate: Gate, title: str) -> Table:
    def line(name: str, values: Sequence[float], change: Interval) -> tuple[Cell, ...]:
        return (Cell(name), *(Cell(words.f1(value)) for value in values), *_interval(change))

    def values_of(side: Side) -> tuple[float, float, float]:
        return side.score.weighted_f1, side.score.macro_f1, side.calibration_error

    names = ("weighted F1", "macro F1", "calibration error (rise)")
    changes = (gate.weighted_drop, gate.macro_drop, gate.calibration)
    values = zip(values_of(gate.baseline), values_of(gate.artifact), strict=True)
    rows = [line(*each) for each in zip(names, values, changes, strict=True)]
    only = (
        Cell("rows only this one gets right"),
        Cell(f"{gate.only_before:,}"),
        Cell(f"{gate.only_after:,}"),
    )
    rows.append((*only, Cell(f"McNemar's p {gate.p:.2g}"), Cell(words.ABSENT)))
    columns = ("figure", "baseline", "artifact", "drop, points", "95 % interval")
    return Table(f"Figures, {title}", columns, (Body(tuple(rows)),))


def _interval(change: Interval) -> tuple[Cell, Cell]:
    return Cell(words.points(change.value)), Cell(
        f"{words.points(change.low)} to {words.points(change.high)}"
    )


def _classes(gate: Gate, title: str) -> Table:
    columns = ("class", "rows", "F1 before", "F1 after", "drop, points", "95 % interval", "floor", "standing")
    rows = tuple(_class_row(each) for each in gate.classes)
    return Table(f"Classes, {title}", columns, (Body(rows),), frozenset({"standing"}))


def _class_row(each: ClassChange) -> tuple[Cell, ...]:
    value, interval = _interval(each.drop)
    bad = each.standing in ("lost", "below floor")
    return (
        Cell(each.name),
        Cell(f"{each.rows:,}"),
        Cell(f"{each.before:.3f}"),
        Cell(f"{each.after.value:.3f}"),
        Cell(value.text, style=heat(each.drop.value)),
        interval,
        Cell(words.ABSENT if each.floor is None else f"{each.floor:g}"),
        Cell(each.standing, "fails" if bad else "", "bad" if bad else ""),
    )


def _flips(gate: Gate) -> Table:
    """What became of what: the diagonal, rows that kept their class, is left empty."""
    names = gate.labels.names
    most = max(n for i, row in enumerate(gate.flips) for j, n in enumerate(row) if i != j)
    rows = tuple(
        (Cell(name), *(_flip_cell(n, most, same=i == j) for j, n in enumerate(row)))
        for i, (name, row) in enumerate(zip(names, gate.flips, strict=True))
    )
    caption = f"Changed classes: {gate.changed:,} of {gate.rows.rows:,} rows"
    return Table(caption, ("baseline \\ artifact", *names), (Body(rows),))


def _flip_cell(count: int, most: int, *, same: bool) -> Cell:
    if same:
        return Cell("", style="same", hover=f"{count:,} rows kept this class")
    return Cell(f"{count:,}" if count else "", style=f"shade-{round(9 * count / most)}")


def _shown(gate: Gate, pictures: Sequence[str]) -> Iterator[Shown]:
    for number, flip in enumerate(gate.worst):
        alt = f"Face of test row {flip.row}, labelled {flip.true}"
        picture = pictures[number] if number < len(pictures) else ""
        yield Shown(picture, alt, flip, _now(flip))


def _now(flip: Flip) -> str:
    if flip.after == flip.true:
        return "now right"
    return "now wrong" if flip.before == flip.true else "wrong before and after"
