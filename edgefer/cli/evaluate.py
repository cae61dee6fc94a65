"""``edgefer evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefer.cli import console
from edgefer.cli.models import Said, open_model_of, warn_of_trained_rows
from edgefer.cli.options import OutPath, data_options, model_options
from edgefer.cli.recipe_data import data_part, load_part, recipe_options

if TYPE_CHECKING:
    from edgefer.backbones.base import Backbone
    from edgefer.datasets.base import Dataset
    from edgefer.evaluation.record import Evaluation, Gain, Judged, Judgement, SetScore, Shift
    from edgefer.evaluation.run import Load
    from edgefer.metrics import Score
    from edgefer.recipe import DataPart
    from edgefer.spec import LabelSet

    Read = Callable[..., Dataset]  # (place, size=(height, width), channels=channels)


@click.command(name="evaluate")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@data_options
@recipe_options
@model_options
@click.option(
    "--split",
    "part",
    type=click.Choice(["train", "validation", "test", "all"]),
    default="test",
    show_default=True,
    help="Which rows.",
)
@click.option(
    "--tta",
    type=click.Choice(["none", "flip", "s1-seven"]),
    default="none",
    show_default=True,
    help="Average over changed copies too: the mirror image, or that and seven turned, zoomed and shifted ones.",
)
@click.option("--by-set", is_flag=True, help="Score each source set of merged data on its own.")
@click.option(
    "--reference",
    metavar="PATH",
    help="Data the models were trained on: say what moved between it and --data.",
)
@click.option("--out", type=OutPath(dir_okay=False), help="Write the record to this JSON file.")
@console.json_option
def command(
    models: tuple[Path, ...],
    part: str,
    tta: str,
    by_set: bool,
    reference: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Score MODELs (.keras, .h5 or SavedModel folders) on labelled faces; several vote with equal weights.

    All scores are given on all rows, and without those whose image also stands in the training split. A --recipe
    says how the data the models were trained on is put together: --reference where it is given, else --data.
    """
    from edgefer.backbones.ensemble import Ensemble
    from edgefer.datasets.loading import locate
    from edgefer.evaluation.drift import reference_of
    from edgefer.evaluation.record import write_evaluation
    from edgefer.evaluation.run import Plan, evaluate
    from edgefer.evidence import check_range

    stated = Said(**said)
    locate(stated.data)
    asked = data_part(recipe, settings, stated.labels)
    ensemble = Ensemble(_opened(models, stated, asked))
    as_labelled = _as_labelled(stated.labels or ensemble.labels.source, ensemble.labels)
    trained_on = _as_recipe(asked, recipe, settings) if asked else as_labelled
    data = _loader(stated.data, as_labelled if reference else trained_on)
    usual = _loader(reference, trained_on) if reference else None
    for member in ensemble.members:
        if usual:  # the second set was not trained on, and rows of the first have to be unseen
            warn_of_trained_rows(member, usual(member.input), reference_of(usual(member.input)).split)
        else:
            warn_of_trained_rows(member, data(member.input))
        if stated.range_:
            check_range(member, data(member.input))
    plan = Plan(data, part, tta, by_set, usual)  # type: ignore[arg-type]  # click.Choice checked them
    steps = count()
    with console.progress("evaluate") as advance:
        done = evaluate(
            ensemble, plan, lambda member: advance(next(steps), len(models) * plan.rounds, member)
        )
    if out:
        write_evaluation(out, done)
    if as_json:
        console.print_json(done)
    else:
        _show(done)


def _opened(models: tuple[Path, ...], said: Said, part: DataPart | None) -> tuple[Backbone, ...]:
    """The models; where two files have one name, each is called by its path."""
    opened = [open_model_of(part, model, said) for model in models]
    names = [backbone.name for backbone in opened]
    return tuple(
        replace(backbone, name=str(path)) if names.count(backbone.name) > 1 else backbone
        for path, backbone in zip(models, opened, strict=True)
    )


def _as_recipe(part: DataPart, recipe: str | None, settings: tuple[str, ...]) -> Read:
    """Reads faces as the ``part`` of a recipe says."""
    return lambda place, **shape: load_part(place, part, recipe, settings, **shape)


def _as_labelled(labels: str, classes: LabelSet) -> Read:
    """Reads faces of a label set as their files have them, class folders among the models' ``classes``."""
    from edgefer.datasets.loading import load

    return lambda place, **shape: load(place, labels, **shape).among(classes)


def _loader(place: str | None, read: Read) -> Load:
    """Reads the data in ``place`` as an input wants it, once a size."""

    @cache
    def loaded(height: int, width: int, channels: int) -> Dataset:
        return read(place, size=(height, width), channels=channels)

    return lambda spec: loaded(spec.height, spec.width, spec.pixel_channels)


def _show(done: Evaluation) -> None:
    mark = " (synthetic)" if done.data.synthetic else ""
    of = f"{done.data.name}{mark}, {done.data.split}"
    final = done.judged[-1]
    console.print_table(f"{_title(final)} on {of}", ("", "all rows", "without leaked rows"), _figures(final))
    if len(done.judged) > 1:
        _show_all(done.judged, of)
    _show_gains(done.gains)
    _show_classes(final)
    _show_confusion(final.full.score)
    for each in done.sets:
        _show_set(each)
    if done.shift:
        _show_shift(done.shift, done.data.name)
    for sentence in done.findings:
        click.echo(sentence)


def _title(judged: Judged) -> str:
    return judged.name if judged.tta == "none" else f"{judged.name}, {judged.tta}"


def _figures(judged: Judged) -> list[tuple[str, ...]]:
    """One row a metric, on all rows and without the leaked ones."""
    full, clean = (dict(_metrics(each)) for each in (judged.full, judged.clean))
    return [(name, full[name], clean[name]) for name in full]


def _metrics(judgement: Judgement) -> list[tuple[str, str]]:
    score = judgement.score
    figures = {
        "accuracy": score.accuracy,
        "weighted precision": score.weighted_precision,
        "weighted recall": score.weighted_recall,
        "weighted F1": score.weighted_f1,
        "macro precision": judgement.macro_precision,
        "macro recall": judgement.macro_recall,
        "macro F1": score.macro_f1,
        "ECE, 15 bins": judgement.calibration_error,
    }
    return [("rows", str(score.n)), *((name, f"{value:.4f}") for name, value in figures.items())]


def _show_all(judged: Sequence[Judged], of: str) -> None:
    """One row a model or vote; the same metrics on all rows and without the leaked ones."""
    heads = ("accuracy", "weighted F1", "macro F1", "ECE, 15 bins")
    columns = ("model", *heads, *(f"clean {head}" for head in heads))
    rows = [
        (_title(each), *(dict(_metrics(part))[head] for part in (each.full, each.clean) for head in heads))
        for each in judged
    ]
    console.print_table(f"All models on {of} (clean: without leaked rows)", columns, rows)


def _show_gains(gains: Sequence[Gain]) -> None:
    if gains:
        columns = ("gain in points, all rows", "over", "accuracy", "weighted F1", "macro F1", "McNemar p")
        rows = [
            (
                each.name,
                each.over,
                *map(_points, (each.accuracy, each.weighted_f1, each.macro_f1)),
                f"{each.p:.2g}",
            )
            for each in gains
        ]
        console.print_table("Gains", columns, rows)


def _points(value: float) -> str:
    return f"{value:+.2f}"


def _show_classes(judged: Judged) -> None:
    """One row a class, on all rows and without the leaked ones."""
    pairs = zip(judged.full.score.per_class, judged.clean.score.per_class, strict=True)
    columns = (
        "class",
        "rows",
        "precision",
        "recall",
        "F1",
        "clean rows",
        "clean precision",
        "clean recall",
        "clean F1",
    )
    rows = []
    for pair in pairs:
        figures = [(str(c.support), *(f"{v:.4f}" for v in (c.precision, c.recall, c.f1))) for c in pair]
        rows.append((pair[0].name, *figures[0], *figures[1]))
    console.print_table(f"{_title(judged)}: classes (clean: without leaked rows)", columns, rows)


def _show_confusion(score: Score) -> None:
    names = [each.name for each in score.per_class]
    rows = [(name, *counts) for name, counts in zip(names, score.confusion, strict=True)]
    console.print_table("Confusion, all rows: true class down, predicted across", ("", *names), rows)


def _show_set(scored: SetScore) -> None:
    score = scored.score
    rows = [
        (
            each.name,
            each.rows,
            _share(each.recall),
            each.prediction or "",
            "check the labels" if each.suspicious else "",
        )
        for each in scored.classes
    ]
    title = f"Set {scored.name}: {score.n} rows, accuracy {score.accuracy:.4f}, weighted F1 {score.weighted_f1:.4f}, "
    columns = ("class", "rows", "recall", "mostly predicted as", "")
    console.print_table(f"{title}macro F1 {score.macro_f1:.4f}", columns, rows)


def _show_shift(shift: Shift, second: str) -> None:
    rows = [(s.name, *map(_share, (s.reference, s.second, s.em, s.confusion))) for s in shift.shares]
    columns = ("class", f"{shift.reference}, train", second, "by EM", "by confusions")
    console.print_table("Class shares, and as estimated without labels", columns, rows)
    changes = [
        (r.name, r.reference_rows, _share(r.reference), r.second_rows, _share(r.second), _p(r.p), r.taken_for)
        for r in shift.recalls
    ]
    heads = (
        "class",
        "rows before",
        "recall before",
        "rows",
        "recall",
        "p (Holm)",
        "missed, mostly taken for",
    )
    title = f"Recall on {shift.reference}, {shift.reference_split} without leaked rows, and on {second}"
    console.print_table(title, heads, changes)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
