from __future__ import annotations

import csv
import io
import re
import time

import msgspec
import pytest

from edgefer.errors import InputError, MissingExtraError
from edgefer.report import page
from edgefer.report.collect import collect
from edgefer.report.page import markdown_cell, render
from edgefer.report.write import write_all
from tests.report_samples import LABELS, accuracy, record, records, save


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    return render(collect(save(tmp_path_factory.mktemp("runs"), records())))


def test_equal_records_give_equal_bytes(files, tmp_path):
    time.sleep(1.1)  # a time stamp in seconds would differ
    assert render(collect(save(tmp_path, records()[::-1]))) == files


def test_the_page_asks_for_nothing_from_elsewhere(files):
    html = files["report.html"]
    assert not re.findall(r"""\b(?:src|srcset|href|action|data)\s*=\s*(?!["']#)\S+""", html)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "<script" not in html
    assert "default-src 'none'" in html


def test_ids_are_unique(files):
    ids = re.findall(r'\bid="([^"]+)"', files["report.html"])
    assert len(set(ids)) == len(ids)
    referred = re.findall(r'(?:href="|url\()#([^")]+)', files["report.html"])
    assert set(referred) <= set(ids)


def test_kinds_never_share_a_csv_column(files):
    lines = list(csv.DictReader(io.StringIO(files["report.csv"])))
    assert len(lines) == 8 * 3 + 2
    for line in lines:
        other = {"measured": "emulated", "emulated": "measured"}[line["kind"]]
        assert not any(value for column, value in line.items() if column.startswith(f"{other}_"))
        assert line["measured_fps" if line["kind"] == "measured" else "emulated_instructions"]


def test_csv_numbers_are_the_records_numbers(files):
    by_key = {(r.artifact.format, r.target): r for r in records()}
    for line in csv.DictReader(io.StringIO(files["report.csv"])):
        truth = by_key[line["format"], line["target"]]
        f1 = float(line[f"{truth.kind}_weighted_f1"])
        for timing in truth.timings:
            if timing.batch == int(line["batch"]):
                fps = timing.batch / (timing.latency_ns() / 1e9)
                assert float(line["measured_fps"]) == pytest.approx(fps, rel=1e-6)
                low, median, high = (float(line[f"measured_median{end}_ms"]) for end in ("_low", "", "_high"))
                assert low <= median <= high < 1.5 * median
        assert f1 == pytest.approx(truth.accuracy.full.weighted_f1, abs=1e-6)
        assert float(line["size_kb"]) * 1000 == truth.artifact.bytes


def test_every_artifact_and_class_is_in_every_rendering(files):
    for text in (files["report.md"], files["report.html"]):
        assert all(name in text for name in LABELS.names)
        assert all(each.artifact.sha256 in text for each in records())
        assert "not comparable: labels of the backbone are in another order" in text


def test_real_data_is_not_called_synthetic(files):
    assert "Synthetic data" not in files["report.html"] + files["report.md"]


def test_synthetic_data_is_named_at_the_top_and_beside_the_numbers(tmp_path):
    given = [record(each, accuracy=accuracy(each, synthetic=True)) for each in ("tflite-fp32", "onnx-int8")]
    made = render(collect(save(tmp_path, given)))
    markdown, html = made["report.md"], made["report.html"]
    assert markdown.index("**Synthetic data.**") < markdown.index("## Verdict")
    assert html.index("Synthetic data.") < html.index('id="verdict"')
    f1 = f"{given[0].accuracy.full.weighted_f1:.4f}"
    assert f"{f1} (synthetic)" in markdown
    assert f'{f1}</span> <span class="mark synthetic">' in html
    assert "weighted F1, synthetic data" in html  # the plots' axes
    assert all(line["synthetic"] == "true" for line in csv.DictReader(io.StringIO(made["report.csv"])))


def test_names_cannot_break_out_of_the_page_or_the_table(tmp_path):
    evil = "<script>alert('x')</script>|$a_b$"
    one = record("tflite-int8", executed_on=evil, notes=(evil,))
    named = msgspec.structs.replace(one, artifact=msgspec.structs.replace(one.artifact, name=evil))
    (path,) = save(tmp_path, [one])
    path.write_bytes(msgspec.json.encode(named))
    made = render(collect([path]))
    assert "<script" not in made["report.html"] + made["report.md"]
    assert "\\|$a_b$" in made["report.md"]


def test_markdown_cells_stay_cells():
    assert markdown_cell("a|b\nc<d\\e") == r"a\|b c&lt;d\\e"


def test_one_unscored_untimed_record_still_makes_a_report(tmp_path):
    bare = record(
        "onnx-fp16", accuracy=None, timings=(), cold_start=None, peak_memory_bytes=None, environment={},
        kind="estimated",
    )  # fmt: skip
    made = render(collect(save(tmp_path, [bare])))
    assert "not comparable: accuracy was not taken" in made["report.md"]
    assert "<svg" not in made["report.html"]
    assert next(csv.DictReader(io.StringIO(made["report.csv"])))["estimated_fps"] == ""


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_missing_packages_are_named(monkeypatch, package):
    find = page.importlib.util.find_spec
    monkeypatch.setattr(
        page.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(MissingExtraError, match=f"{package} is not installed.*report"):
        render(())


def test_files_are_written_and_replaced(tmp_path):
    out = tmp_path / "deep" / "report"
    write_all(out, {"a": "old", "b": "old"})
    assert write_all(out, {"a": "new\n", "b": "\N{EN DASH}"}) == (out / "a", out / "b")
    assert (out / "a").read_bytes() == b"new\n"
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_what_only_an_earlier_report_had_goes(tmp_path):
    old = "![gate](plots/gate.svg) The numbers also in report.csv and gates.csv."
    write_all(tmp_path, {"report.md": old, "gates.csv": "", "plots/gate.svg": "", "plots/gate.png": b""})
    (tmp_path / "plots" / "thesis.png").write_text("mine")
    write_all(tmp_path, {"report.md": "new", "plots/f1.svg": "new"})
    assert names_in(tmp_path) == ["plots/f1.svg", "plots/thesis.png", "report.md"]


def test_where_there_was_no_report_nothing_goes(tmp_path):
    (tmp_path / "plots").mkdir()
    for name in ("gates.csv", "plots/thesis.png"):
        (tmp_path / name).write_text("mine")
    write_all(tmp_path, {"report.md": "new"})
    assert names_in(tmp_path) == ["gates.csv", "plots/thesis.png", "report.md"]


def test_the_text_shows_every_plot(files):
    shown = set(re.findall(r"!\[[\w-]+\]\(([^)]+)\)", files["report.md"]))
    assert shown == {name for name in files if name.endswith(".svg")}


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_failure_half_way_leaves_the_old_files_alone(tmp_path):
    write_all(tmp_path, {"a": "old", "b": "old"})
    with pytest.raises(UnicodeEncodeError):
        write_all(tmp_path, {"a": "new", "b": "\ud800"})
    assert [(path.name, path.read_text()) for path in sorted(tmp_path.iterdir())] == [
        ("a", "old"),
        ("b", "old"),
    ]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write_all(tmp_path / "out", {"a": "new"})
