"""Core ML's compute units in the report."""

from __future__ import annotations

from edgefer.bench.record import ColdStart, Variant
from edgefer.report.collect import collect
from edgefer.report.page import render
from edgefer.report.variants import variant_table
from edgefer.report.words import ABSENT
from tests.report_samples import record, save, timing

PLAN = {"compute_plan": {"operations": [], "on": {"Neural Engine": {"operations": 40, "cost": 0.98}}}}


def on_units(**changes):
    """A record of the default units and of the CPU alone."""
    cpu = Variant(
        name="cpu",
        executed_on="Core ML (macOS 15.1, CPU_ONLY)",
        timings=(timing("tflite-int8", 1, 0.5),),
        cold_start=ColdStart(load_ns=3_000_000, first_ns=500_000),
    )
    return record("tflite-int8", target="coreml", details=PLAN, variants=(cpu,), **changes)


def test_every_choice_of_units_has_its_rows(tmp_path):
    (group,) = collect(save(tmp_path, [on_units(), record("tflite-fp32", target="coreml")]))
    (body,) = variant_table(group).bodies
    assert body.title == "tflite-int8"
    rows = [[cell.text for cell in row] for row in body.rows]
    assert [row[:2] for row in rows] == [["all", "1"], ["all", "8"], ["all", "64"], ["cpu", "1"]]
    assert rows[0][-1] == "Neural Engine 40"
    assert rows[3][4:] == ["3.00", "0.500", ABSENT]


def test_a_target_without_variants_has_no_such_table(tmp_path):
    (group,) = collect(save(tmp_path, [record("tflite-int8")]))
    assert variant_table(group) is None


def test_it_stands_in_every_kind_of_report(tmp_path):
    made = render(collect(save(tmp_path, [on_units(invalid="the board was held back")])))
    for name in ("report.md", "report.html"):
        assert "Settings of the runtime on coreml, measured" in made[name]
        assert "times do not count: the board was held back" in made[name]
    assert "the board was held back" in made["report.csv"]
