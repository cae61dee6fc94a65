"""The demo does the whole main job for real."""

from pathlib import Path

from tests.e2e.conftest import edgefer


def test_the_demo_trains_converts_verifies_benches_and_reports(tmp_path):
    ran = edgefer("demo", "--out", tmp_path / "demo", "--json")
    assert ran.code == 0, ran.err
    assert [proof["status"] for proof in ran.json["verification"]] == ["passed"] * 3
    for one in ran.json["bench"]:
        assert one["accuracy"]["synthetic"] is True
        # A constant answer scores 0.09 on these faces, a few epochs of a small network 0.8.
        assert one["accuracy"]["full"]["weighted_f1"] > 0.6
        assert abs(one["accuracy"]["f1_drop"]) < 3
        assert [timing["batch"] for timing in one["latency"]] == [1, 64]
    assert "synthetic" in Path(ran.json["report"]).read_text("utf-8").lower()

    again = edgefer("demo", "--out", tmp_path / "demo")
    assert again.code == 2
    assert "exists already" in again.error_line
