"""The whole report: what stands where, and how it becomes Markdown and HTML."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import edgefer
from edgefer.errors import MissingExtraError
from edgefer.report.by_target import target_table
from edgefer.report.collect import Gated, Group
from edgefer.report.confusion import confusion_tables
from edgefer.report.definitions import DEFINITIONS
from edgefer.report.emulation import kernel_warnings, parity_table
from edgefer.report.gates import GateChapter, Pictures, gate_chapter
from edgefer.report.plots import drop_plots, scatter_plots
from edgefer.report.provenance import environment_table, gate_table, hash_table, record_table, rows_table
from edgefer.report.sheet import render_csv, render_gate_csv
from edgefer.report.svg import Plot, drawing_style
from edgefer.report.tables import HEAT_STEPS, Table, artifact_table, class_drop_table, speed_table
from edgefer.report.variants import variant_table
from edgefer.report.verdict import Verdict, blind_spots, judge

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Chapter:
    """Everything about one group."""

    title: str
    anchor: str
    artifacts: Table
    speed: Table
    variants: Table | None
    parity: Table | None
    class_drops: Table | None
    confusions: tuple[Table, ...]
    scatters: tuple[Plot, ...]
    drops: tuple[Plot, ...]


@dataclass(frozen=True)
class Page:
    """The report, ready to be rendered.

    ``synthetic`` names the drawn data sets among the data; ``front`` are the first chapter's scatter plots;
    ``by_target`` is None where there is but one target.
    """

    version: str
    models: str
    data: str
    synthetic: str
    verdicts: tuple[Verdict, ...]
    blind_spots: str
    warnings: tuple[str, ...]
    front: tuple[Plot, ...]
    by_target: Table | None
    gates: tuple[GateChapter, ...]
    chapters: tuple[Chapter, ...]
    definitions: tuple[tuple[str, str], ...]
    provenance: tuple[Table, ...]

    @property
    def pictured(self) -> bool:
        """Whether the page holds pictures of faces."""
        return any(each.picture for gate in self.gates for each in gate.worst)


def render(
    groups: Sequence[Group], gates: Sequence[Gated] = (), pictures: Pictures = MappingProxyType({})
) -> dict[str, str | bytes]:
    """The files of a report by name: Markdown, CSV, HTML, and its plots as SVG and PNG.

    Raises:
        MissingExtraError: the packages of the ``report`` extra are not installed.
    """
    for package in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "report")
    with drawing_style():
        page = _build(groups, gates, pictures)
    templates = _templates()
    files: dict[str, str | bytes] = {
        "report.md": templates.get_template("report.md.jinja").render(page=page),
        "report.csv": render_csv(groups),
        "report.html": templates.get_template("report.html.jinja").render(page=page, heat_steps=HEAT_STEPS),
    }
    if gates:
        files["gates.csv"] = render_gate_csv(gates)
    for plot in _plots(page):
        files[f"plots/{plot.name}.svg"] = plot.svg + "\n"
        files[f"plots/{plot.name}.png"] = plot.png
    return files


def _plots(page: Page) -> Iterator[Plot]:
    yield from page.front
    for gate in page.gates:
        yield gate.plot
    for chapter in page.chapters:
        yield from chapter.scatters
        yield from chapter.drops


def _build(groups: Sequence[Group], gates: Sequence[Gated], pictures: Pictures) -> Page:
    runs = [run for group in groups for run in group.runs]
    scored = [run.record.accuracy for run in runs if run.record.accuracy]
    rows = rows_table(groups)
    tables = (
        *([rows] if rows else []),
        *map(environment_table, groups),
        *([gate_table(gates)] if gates else []),
        hash_table(groups),
        record_table(groups),
    )
    first, *others = (_chapter(number, group) for number, group in enumerate(groups, start=1))
    return Page(
        version=edgefer.__version__,
        models=_names(run.record.artifact.name for run in runs),
        data=_names(accuracy.data for accuracy in scored),
        synthetic=_names(accuracy.data for accuracy in scored if accuracy.synthetic),
        verdicts=tuple(map(judge, groups)),
        blind_spots=_names(blind_spots(groups)),
        warnings=tuple(kernel_warnings(groups)),
        front=first.scatters,
        by_target=target_table(groups) if len(groups) > 1 else None,
        gates=tuple(gate_chapter(number, gated, pictures) for number, gated in enumerate(gates, start=1)),
        chapters=(replace(first, scatters=()), *others),
        definitions=DEFINITIONS,
        provenance=tables,
    )


def _chapter(number: int, group: Group) -> Chapter:
    return Chapter(
        title=group.title,
        anchor=f"target-{number}",
        artifacts=artifact_table(group),
        speed=speed_table(group),
        variants=variant_table(group),
        parity=parity_table(group),
        class_drops=class_drop_table(group),
        confusions=confusion_tables(group),
        scatters=scatter_plots(group),
        drops=drop_plots(group),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("edgefer.report"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = markdown_cell
    return environment


def markdown_cell(text: str) -> str:
    """Text that cannot end a Markdown table's cell or line, nor become a tag."""
    for special, harmless in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("\n", " ")):
        text = text.replace(special, harmless)
    return text
