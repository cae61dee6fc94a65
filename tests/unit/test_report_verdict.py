from __future__ import annotations

import msgspec
import pytest

from edgefer.report.collect import Group, collect
from edgefer.report.compare import by_baseline, compare
from edgefer.report.plots import scatter_plots
from edgefer.report.tables import HEAT_STEPS, artifact_table, class_drop_table, heat, speed_table
from edgefer.report.verdict import Verdict, blind_spots, judge
from tests.report_samples import accuracy, record, records, save, timing


def group_of(folder, *given) -> Group:
    (group,) = collect(save(folder, list(given)))
    return group


@pytest.fixture
def cpu(tmp_path) -> Group:
    return group_of(tmp_path, *(each for each in records() if each.target == "cpu"))


def problems(verdict: Verdict) -> list[tuple[str, bool]]:
    return [(f"{problem.label}: {problem.text}", problem.fails) for problem in verdict.problems]


def test_the_smallest_and_fastest_are_chosen_among_those_that_keep_accuracy(cpu):
    verdict = judge(cpu)
    assert verdict.sentence == "7 of 8 artifacts keep weighted F1 within 1 point of the float backbone."
    # onnx-int8 is the smallest of all, but loses more than a point
    picks = {pick.title: pick.label for pick in verdict.picks}
    assert picks == {
        "Smallest": "tflite-dynamic",
        "Fastest at batch 1": "tflite-int8",
        "Highest throughput": "tflite-int8",
    }


def test_what_fails_is_named_with_its_reason(cpu):
    found = problems(judge(cpu))
    assert ("onnx-int8: no longer recognises contempt (F1 0)", True) in found
    assert ("onnx-fp16: unstable at batch 8: p90 is 1.9 times the median", False) in found
    (loss,) = [text for text, fails in found if fails and "F1 drop" in text]
    assert loss.startswith("onnx-int8: F1 drop +3.58 points, +3.37 without leaked rows")


def test_a_drop_that_only_shows_without_leaked_rows_fails(tmp_path):
    mine = accuracy("tflite-int8")
    worse = msgspec.structs.replace(mine.clean, weighted_f1=mine.clean.weighted_f1 - 0.02)
    group = group_of(tmp_path, record("tflite-int8", accuracy=msgspec.structs.replace(mine, clean=worse)))
    assert judge(group).sentence.startswith("The one artifact does not keep")


def test_skipped_comparisons_are_never_numbers(tmp_path):
    skipped = msgspec.structs.replace(accuracy("tflite-int8"), drop_skipped="other labels")
    orphan = msgspec.structs.replace(accuracy("tflite-fp16"), baseline=None)
    moved = accuracy("onnx-fp32").baseline
    elsewhere = msgspec.structs.replace(moved, full=msgspec.structs.replace(moved.full, rows_sha256="0" * 64))
    unlike = msgspec.structs.replace(accuracy("onnx-fp32"), baseline=elsewhere)
    group = group_of(
        tmp_path,
        record("tflite-int8", accuracy=skipped),
        record("tflite-fp16", accuracy=orphan),
        record("onnx-fp32", accuracy=unlike),
        record("onnx-fp16", accuracy=None),
    )
    reasons = {row[0].text: row[4].text for row in artifact_table(group).bodies[0].rows}
    assert reasons == {
        "tflite-int8": "not comparable: other labels",
        "tflite-fp16": "not comparable: the artifact carries no baseline score",
        "onnx-fp32": "not comparable: the baseline was scored on other rows",
        "onnx-fp16": "not comparable: accuracy was not taken",
    }
    verdict = judge(group)
    assert verdict.sentence == "Whether accuracy is kept is not known for any of 4 artifacts."
    assert verdict.picks == ()
    assert class_drop_table(group) is None


def test_an_unstable_winner_is_called_unstable(tmp_path):
    shaky = msgspec.structs.replace(timing("tflite-int8", 1, 1.0), unstable="drifts")
    group = group_of(tmp_path, record("tflite-int8", timings=(shaky,)))
    assert judge(group).picks[1].figure.endswith("FPS (unstable)")
    assert speed_table(group).bodies[0].rows[0][0].mark == "unstable"


def test_without_times_only_the_smallest_is_picked(tmp_path):
    group = group_of(tmp_path, record("tflite-int8", timings=()))
    assert [pick.title for pick in judge(group).picks] == ["Smallest"]
    assert speed_table(group).bodies == ()


def test_classes_the_backbone_itself_never_finds_are_named(cpu):
    assert blind_spots([cpu]) == ["unknown"]


def test_two_backbones_each_have_their_own_reference(tmp_path):
    one, other = record("tflite-int8"), record("onnx-fp16")
    theirs = other.accuracy
    weaker = msgspec.structs.replace(theirs.baseline.full, weighted_f1=0.8)
    theirs = msgspec.structs.replace(theirs, baseline=msgspec.structs.replace(theirs.baseline, full=weaker))
    ref = msgspec.structs.replace(other.artifact, name="resnet50v2", backbone_sha256="1" * 64)
    group = group_of(tmp_path, one, msgspec.structs.replace(other, artifact=ref, accuracy=theirs))
    names = [name for name, _, _ in by_baseline(group.runs)]
    assert names == ["float mobilenetv2", "float resnet50v2"]
    assert len(class_drop_table(group).bodies) == 2


def test_table_numbers_are_the_records_numbers(cpu):
    run = next(run for run in cpu.runs if run.label == "tflite-int8")
    row = next(row for row in artifact_table(cpu).bodies[0].rows if row[0].text == "tflite-int8")
    found = compare(run)
    assert row[1].text == "2,634"
    assert row[2].text == f"{run.record.accuracy.full.weighted_f1:.4f}"
    assert float(row[4].text) == pytest.approx(run.record.accuracy.f1_drop, abs=0.005)
    assert float(row[5].text) == pytest.approx(run.record.accuracy.f1_drop_clean, abs=0.005)
    pairs = zip(found.baseline.per_class, found.mine.per_class, strict=True)
    assert found.class_drops == pytest.approx([100 * (before.f1 - after.f1) for before, after in pairs])


def test_shades_begin_at_their_steps():
    assert heat(HEAT_STEPS[0] - 0.01) == ""
    assert [heat(step) for step in HEAT_STEPS] == ["loss-1", "loss-2", "loss-3", "loss-4", "loss-5"]
    assert heat(-30.0) == "gain-5"


def test_times_of_a_throttled_board_fail_and_are_never_the_fastest(tmp_path):
    reason = "the board was held back while it was measured: throttled"
    fast, slow = record("tflite-int8", invalid=reason), record("tflite-fp32")
    group = group_of(tmp_path, fast, slow)
    verdict = judge(group)
    assert (f"tflite-int8: times do not count: {reason}", True) in problems(verdict)
    picks = {pick.title: pick.label for pick in verdict.picks}
    assert picks["Fastest at batch 1"] == "tflite-fp32"
    assert picks["Smallest"] == "tflite-int8", "its size counts all the same"
    marks = {row[0].text: row[0].mark for row in speed_table(group).bodies[0].rows}
    assert marks == {"tflite-int8": "invalid", "tflite-fp32": ""}
    size, latency = scatter_plots(group)
    assert "Invalid, so not drawn: tflite-int8." in latency.caption
    assert "On the Pareto front: tflite-fp32." in latency.caption
    assert "not drawn" not in size.caption
