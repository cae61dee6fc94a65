"""The whole report: what stands where, and how it becomes Markdown and HTML."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import edgefer
from edgefer.errors import MissingExtraError
from edgefer.report.by_target import target_table
from edgefer.report.collect import Group
from edgefer.report.confusion import confusion_tables
from edgefer.report.definitions import DEFINITIONS
from edgefer.report.emulation import kernel_warnings, parity_table
from edgefer.report.plots import drop_plots, scatter_plots
from edgefer.report.provenance import environment_table, hash_table, record_table, rows_table
from edgefer.report.sheet import render_csv
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

    ``synthetic`` names the drawn data sets among the data; ``by_target`` is None where there is but one target.
    """

    version: str
    models: str
    data: str
    synthetic: str
    verdicts: tuple[Verdict, ...]
    blind_spots: str
    warnings: tuple[str, ...]
    by_target: Table | None
    chapters: tuple[Chapter, ...]
    definitions: tuple[tuple[str, str], ...]
    provenance: tuple[Table, ...]


def render(groups: Sequence[Group]) -> dict[str, str]:
    """The files of a report by name: Markdown, CSV, HTML.

    Raises:
        MissingExtraError: the packages of the ``report`` extra are not installed.
    """
    for package in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "report")
    with drawing_style():
        page = _build(groups)
    templates = _templates()
    return {
        "report.md": templates.get_template("report.md.jinja").render(page=page),
        "report.csv": render_csv(groups),
        "report.html": templates.get_template("report.html.jinja").render(page=page, heat_steps=HEAT_STEPS),
    }


def _build(groups: Sequence[Group]) -> Page:
    runs = [run for group in groups for run in group.runs]
    scored = [run.record.accuracy for run in runs if run.record.accuracy]
    rows = rows_table(groups)
    tables = (
        *([rows] if rows else []),
        *map(environment_table, groups),
        hash_table(groups),
        record_table(groups),
    )
    return Page(
        version=edgefer.__version__,
        models=_names(run.record.artifact.name for run in runs),
        data=_names(accuracy.data for accuracy in scored),
        synthetic=_names(accuracy.data for accuracy in scored if accuracy.synthetic),
        verdicts=tuple(map(judge, groups)),
        blind_spots=_names(blind_spots(groups)),
        warnings=tuple(kernel_warnings(groups)),
        by_target=target_table(groups) if len(groups) > 1 else None,
        chapters=tuple(_chapter(number, group) for number, group in enumerate(groups, start=1)),
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
