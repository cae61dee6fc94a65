"""``edgefer recipes``: what is listed, and that a figure never stands without how it was obtained."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from click.testing import CliRunner

from edgefer.cli.evaluate import command as evaluate
from edgefer.cli.main import cli
from edgefer.datasets.loading import SETS
from edgefer.recipe import Source
from edgefer.recipe_loading import load_recipe, recipe_ids
from edgefer.recipe_results import Figures, Result, comparable_metric, compared, recipe_results

MEASURED = Result(
    recipe="x",
    settings=(),
    how="random weights, epoch 1 of 2",
    data="d",
    parameters=1,
    seconds=1.0,
    validation=Figures(n=10, accuracy=0.55, weighted_f1=0.45, macro_f1=0.35),
    test=Figures(n=10, accuracy=0.5, weighted_f1=0.4, macro_f1=0.3),
    clean=Figures(n=9, accuracy=0.48, weighted_f1=0.38, macro_f1=0.28),
    tta=Figures(n=10, accuracy=0.6, weighted_f1=0.4, macro_f1=0.3),
    sets={
        "fer2013": Figures(n=8, accuracy=0.45, weighted_f1=0.4, macro_f1=0.3),
        "ck+": Figures(n=2, accuracy=0.7, weighted_f1=0.6, macro_f1=0.5),
    },
)


def answer(*words: str) -> str:
    ran = CliRunner().invoke(cli, ["recipes", *words])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_every_recipe_is_listed_once_with_its_runs():
    entries = json.loads(answer("--json"))

    assert [entry["recipe"]["id"] for entry in entries] == list(recipe_ids())
    assert sum(len(entry["results"]) for entry in entries) == len(recipe_results())


def test_a_figure_stands_beside_what_it_was_obtained_from():
    text = " ".join(answer("s0-mobilenetv2").split())

    (result,) = [each for each in recipe_results() if each.recipe == "s0-mobilenetv2"]
    assert f"{result.test.weighted_f1:.4f}" in text
    assert "random weights" in text
    assert "0.5853" in text
    assert all(setting in text for setting in result.settings)


def test_results_belong_to_shipped_recipes_and_to_real_faces():
    assert {each.recipe for each in recipe_results()} <= set(recipe_ids())
    assert not [each for each in recipe_results() if "synthetic" in each.data.lower()]


def test_recipes_are_compared_in_the_metric_that_their_source_reports():
    assert comparable_metric(load_recipe("s1-baseline").source.reported) == "accuracy"
    assert comparable_metric({}) == "weighted_f1"
    assert comparable_metric({"latency_s": 0.1, "macro_f1": 0.5}) == "macro_f1"
    assert "weighted_f1" in Figures.__struct_fields__


def test_what_was_measured_beside_the_plain_test_score_is_told():
    (row,) = compared(Source("S9: x", {"accuracy": 0.7}), [MEASURED])

    told = "random weights, epoch 1 of 2; fer2013 alone 0.4500; ck+ alone 0.7000; "
    told += "all test rows with test-time augmentation 0.6000"
    assert row == ("accuracy", "0.7000", "0.5000", "0.4800", told)


def test_a_figure_of_one_sets_rows_is_compared_with_ours_on_these_rows():
    (row,) = compared(Source("S9: x", {"accuracy": 0.7}, reported_on="fer2013"), [MEASURED])

    assert row[:4] == ("accuracy", "0.7000", "0.4500", "")
    assert "of fer2013's own test rows; ck+ alone 0.7000; all test rows 0.5000" in row[4]


def test_without_merged_sets_all_test_rows_are_the_sources():
    alone = msgspec.structs.replace(MEASURED, sets={}, tta=None)
    (row,) = compared(Source("S9: x", {"accuracy": 0.7}, reported_on="fer2013"), [alone])

    assert row == ("accuracy", "0.7000", "0.5000", "0.4800", alone.how)


def test_a_reported_gain_is_compared_with_ours_in_points():
    source = Source("S9: x", {"tta_points": 1.7})
    plain = msgspec.structs.replace(MEASURED, tta=None)

    (with_tta, without) = compared(source, [MEASURED, plain])

    assert with_tta[:4] == ("gain of TTA, points", "+1.70", "+10.00", "")
    assert with_tta[4].endswith("all test rows with test-time augmentation 0.6000; plain 0.5000")
    assert without[2] == ""


@pytest.mark.parametrize("name", recipe_ids())
def test_every_figure_that_a_source_reports_is_printed(name: str):
    source = load_recipe(name).source
    if source.reported:
        ((_, listed, *_),) = compared(source, [])
        assert listed
    lines = answer(name).splitlines()
    for metric, figure in source.reported.items():
        assert [line for line in lines if f"source.reported.{metric} " in line and f" {figure} " in line]


def test_figures_are_reported_on_sets_that_there_are():
    assert {load_recipe(name).source.reported_on for name in recipe_ids()} <= {"", *SETS}


def test_a_mistyped_recipe_is_answered_with_a_suggestion():
    ran = CliRunner().invoke(cli, ["recipes", "s1-baselin"])

    assert ran.exit_code != 0
    assert "did you mean 's1-baseline'?" in str(ran.exception)


def test_half_a_name_is_answered_with_all_that_go_on_from_it():
    ran = CliRunner().invoke(cli, ["recipes", "s3-ablation"])

    assert ran.exit_code != 0
    assert "did you mean 's3-ablation-adam' or 's3-ablation-sgd'?" in str(ran.exception)


def test_s3_main_tells_how_its_production_figures_are_measured():
    source = load_recipe("s3-main").source

    production = {key: value for key, value in source.reported.items() if key.startswith("production_")}
    assert production == {
        "production_accuracy": 0.95,
        "production_macro_f1": 0.9,
        "production_disgust_recall": 0.56,
    }
    _, command, _ = re.split(r"'(edgefer evaluate .*?)'", source.remark)
    known = {name for parameter in evaluate.params for name in parameter.opts}
    assert {word for word in command.split() if word.startswith("--")} <= known
