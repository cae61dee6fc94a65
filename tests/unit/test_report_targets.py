from __future__ import annotations

import msgspec
import pytest

from edgefer.report.by_target import target_table
from edgefer.report.collect import collect
from edgefer.report.emulation import kernel_warnings, parity_table
from edgefer.report.page import render
from tests.report_samples import emulated, record, records, save


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return collect(save(tmp_path_factory.mktemp("records"), records()))


def cells(table, artifact):
    """The row of one artifact: column with the group above it, to the cell's text."""
    row = next(row for row in table.bodies[0].rows if row[0].text == artifact)
    return dict(zip(table.full_columns, (cell.text for cell in row), strict=True))


def test_every_target_has_a_group_that_says_what_its_numbers_are(groups):
    headings = [(group.title, group.kind) for group in target_table(groups).groups[1:]]
    assert headings == [
        ("cpu", "measured"),
        ("raspberry-pi-5", "emulated"),
        ("coreml", "missing"),
        ("cuda", "missing"),
        ("raspberry-pi-4", "missing"),
    ]


def test_an_artifact_is_one_row_whatever_it_ran_on(groups):
    table = target_table(groups)
    assert len(table.bodies[0].rows) == 8
    assert sum(group.span for group in table.groups) == len(table.columns)
    row = cells(table, "tflite-int8")
    assert row["cpu measured: ms, batch 1"] == "0.158"
    assert row["raspberry-pi-5 emulated: instr., M"] == "2.69"
    assert row["raspberry-pi-5 emulated: apart"] == "1 step"


def test_missing_is_told_from_impossible(groups):
    table = target_table(groups)
    assert cells(table, "onnx-fp16")["raspberry-pi-5 emulated: F1 drop"] == "missing"
    assert cells(table, "onnx-fp16")["cuda missing"] == "missing"
    assert cells(table, "tflite-fp16")["cuda missing"] == ""


def test_machines_of_one_target_have_columns_of_their_own(tmp_path):
    one = record("tflite-int8")
    other = msgspec.structs.replace(one, environment={"cpu": "another", "logical_cores": 8})
    paths = [save(tmp_path / str(n), [each])[0] for n, each in enumerate((one, other))]
    columns = target_table(collect(paths)).full_columns
    assert "cpu (another, 8 cores) measured: FPS" in columns
    assert len([column for column in columns if column.endswith("FPS")]) == 2


def test_no_time_stands_in_an_emulated_group(groups):
    columns = [name for name in target_table(groups).full_columns if "emulated" in name]
    assert columns
    assert not [name for name in columns if "ms" in name or "FPS" in name]


def test_a_target_may_be_measured_and_emulated_each_in_its_own_columns(tmp_path):
    given = [record("tflite-int8", target="raspberry-pi-5"), emulated("tflite-int8")]
    paths = [save(tmp_path / each.kind, [each])[0] for each in given]
    table = target_table(collect(paths))
    assert [(g.title, g.kind) for g in table.groups[1:3]] == [
        ("raspberry-pi-5", "measured"),
        ("raspberry-pi-5", "emulated"),
    ]


def test_accuracy_alone_has_neither_times_nor_instructions(tmp_path):
    alone = emulated("tflite-int8", target="coreml", instructions=None, parity=None)
    table = target_table(collect(save(tmp_path, [record("tflite-int8"), alone])))
    assert [g.span for g in table.groups if g.title == "coreml"] == [1]


def test_parity_of_a_part_of_the_rows_says_so(tmp_path):
    part = emulated("tflite-int8")
    parity = msgspec.structs.replace(part.parity, rows=256, of_rows=3573)
    paths = save(tmp_path, [msgspec.structs.replace(part, parity=parity, accuracy=None)])
    (group,) = collect(paths)
    assert parity_table(group).bodies[0].rows[0][1].text == "256 of 3,573"


def test_different_kernels_on_one_artifact_are_a_warning(tmp_path, groups):
    assert list(kernel_warnings(groups)) == []
    other = emulated("tflite-int8", executed_on="tflite-runtime 2.14.0 (CPU, builtin kernels, 1 thread)")
    different = collect(save(tmp_path, [record("tflite-int8"), other]))
    (warning,) = kernel_warnings(different)
    assert "XNNPACK on cpu and builtin kernels on raspberry-pi-5" in warning
    files = render(different)
    assert warning in files["report.html"]
    assert warning in files["report.md"]


def test_one_target_alone_needs_no_view_across_targets(tmp_path):
    assert "All targets" not in render(collect(save(tmp_path, [record("tflite-int8")])))["report.md"]
