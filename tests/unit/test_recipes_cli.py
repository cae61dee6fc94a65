"""``edgefer recipes``: what is listed, and that a figure never stands without how it was obtained."""

from __future__ import annotations

import json

from click.testing import CliRunner

from edgefer.cli.main import cli
from edgefer.recipe_loading import load_recipe, recipe_ids
from edgefer.recipe_results import Figures, Result, comparable_metric, recipe_results


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
    plain = Figures(n=10, accuracy=0.5, weighted_f1=0.4, macro_f1=0.3)
    result = Result(
        recipe="x",
        settings=(),
        how="random weights, epoch 1 of 2",
        data="d",
        parameters=1,
        seconds=1.0,
        validation=plain,
        test=plain,
        clean=plain,
        tta=Figures(n=10, accuracy=0.6, weighted_f1=0.4, macro_f1=0.3),
        sets={"fer2013": Figures(n=8, accuracy=0.45, weighted_f1=0.4, macro_f1=0.3)},
    )

    told = result.told("accuracy")

    assert told == ("random weights, epoch 1 of 2; fer2013 alone 0.4500; with test-time augmentation 0.6000")


def test_a_mistyped_recipe_is_answered_with_a_suggestion():
    ran = CliRunner().invoke(cli, ["recipes", "s1-baselin"])

    assert ran.exit_code != 0
    assert "did you mean 's1-baseline'?" in str(ran.exception)
