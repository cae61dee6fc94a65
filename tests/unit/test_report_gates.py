"""Gates on the report's page, and the page for those who do not see it."""

from __future__ import annotations

import base64
import csv
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgefer.cli.report import command
from edgefer.datasets.loading import load
from edgefer.errors import InputError
from edgefer.gating.record import save_gate
from edgefer.report.collect import gather
from edgefer.report.page import render
from edgefer.report.pictures import pictures_of
from edgefer.report.words import points
from tests.report_samples import gate, record, records, save

STYLE = Path(__file__).parents[2] / "edgefer" / "report" / "templates" / "style.css"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The records and one gate."""
    root = tmp_path_factory.mktemp("runs")
    save(root, records())
    save_gate(gate(), root / "gate.json")
    return root


@pytest.fixture(scope="module")
def files(folder) -> dict[str, str | bytes]:
    found = gather([folder])
    return render(found.groups, found.gates, pictures_of(found.gates, "synthetic"))


def test_a_gate_among_records_is_found_and_named_like_its_artifact(folder):
    found = gather([folder])
    (gated,) = found.gates
    assert (gated.label, gated.against) == ("onnx-int8", "float mobilenetv2")
    assert sum(len(group.runs) for group in found.groups) == len(records())


def test_the_gate_is_told_first(files):
    for name, start in (("report.md", "## Verdict\n\n- **Fail:** onnx-int8"), ("report.html", "")):
        text = files[name]
        assert start in text
        assert text.index("is lost: of its") < text.index("keep weighted F1 within 1 point")


def test_every_interval_shown_is_the_gates_own(files):
    html, markdown, judged = files["report.html"], files["report.md"], gate()
    for each in (judged.weighted_drop, judged.macro_drop, *(each.drop for each in judged.classes)):
        shown = f"{points(each.low)} to {points(each.high)}"
        assert shown in html
        assert shown in markdown


def test_the_csv_holds_weighted_macro_and_every_class(files):
    lines = list(csv.DictReader(io.StringIO(str(files["gates.csv"]))))
    assert [line["what"] for line in lines[:2]] == ["weighted F1", "macro F1"]
    for line, each in zip(lines[2:], gate().classes, strict=True):
        assert line["what"] == each.name
        assert float(line["drop_points"]) == pytest.approx(each.drop.value, abs=1e-4)
        assert line["standing"] == each.standing


def test_pictures_are_the_users_own_rows(files):
    shown = re.findall(
        r'<img src="data:image/png;base64,([^"]+)" alt="Face of test row (\d+), ', files["report.html"]
    )
    worst = gate().worst
    assert [int(row) for _, row in shown] == [flip.row for flip in worst]
    split = load("synthetic", "ferplus-9", size=(24, 24), channels=1).split("test")
    for content, row in shown:
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert np.array_equal(np.asarray(image), split.pixels[int(row), ..., 0])
    assert "img-src data:" in files["report.html"]


def test_without_data_no_face_is_in_the_page_and_why_is_said(folder):
    found = gather([folder])
    html = render(found.groups, found.gates)["report.html"]
    assert "<img" not in html
    assert "img-src" not in html
    assert "A record holds row numbers, no faces" in html
    assert all(f"row {flip.row}, labelled {flip.true}" in html for flip in gate().worst)


def test_data_with_other_rows_is_refused(tmp_path):
    broken = msgspec.structs.replace(gate().rows, split_sha256="0" * 64)
    save_gate(msgspec.structs.replace(gate(), rows=broken), tmp_path / "gate.json")
    files = [*save(tmp_path, [record("onnx-int8")]), tmp_path / "gate.json"]
    with pytest.raises(InputError, match="other test rows than those of"):
        pictures_of(gather(files).gates, "synthetic")


def report(*words):
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)


def test_the_command_writes_gates_and_says_their_verdict(folder, tmp_path):
    result = report(folder, "--data", "synthetic", "--out", tmp_path / "out")
    assert result.exception is None, result.exception
    assert "gate: onnx-int8 against float mobilenetv2: FAIL; " in result.stdout
    assert "<img" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "gates.csv").exists()


@pytest.mark.parametrize("case", ["gate alone", "data without gate", "broken gate", "newer gate"])
def test_what_cannot_be_shown_is_one_line_and_exit_2(case, tmp_path):
    runs = save(tmp_path / "runs", [record("onnx-int8")])
    path = tmp_path / "gate.json"
    save_gate(gate(), path)
    if case == "broken gate":
        path.write_text('{"schema": 1, "gate": "pass"}')
    if case == "newer gate":
        path.write_text('{"schema": 9, "gate": "pass"}')
    given = {"gate alone": [path], "data without gate": runs}.get(case, [*runs, path])
    options = ["--data", "synthetic"] if case == "data without gate" else []
    result = report(*given, *options, "--out", tmp_path / "out")
    assert getattr(result.exception, "exit_code", None) == 2
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


class Outline(HTMLParser):
    """What a screen reader walks along; fails where tags do not close in order."""

    VOID = frozenset({"meta", "img", "br", "path", "use", "rect", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes something else"

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_can_be_walked_without_seeing_it(files):
    outline = Outline()
    outline.feed(str(files["report.html"]))
    outline.close()
    assert outline.open == []
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(outline.attributes(landmark)) == 1, landmark
    levels = [int(tag[1]) for tag, _ in outline.found if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(outline.attributes("caption")) == len(outline.attributes("table"))
    assert all(each.get("scope") for each in outline.attributes("th"))
    assert all(each.get("alt") for each in outline.attributes("img"))
    assert all(each.get("aria-label") for each in outline.attributes("svg"))
    ids = {attributes["id"] for _, attributes in outline.found if "id" in attributes}
    for attributes in outline.attributes("section"):
        assert attributes["aria-labelledby"] in ids
    links = [str(each["href"]) for each in outline.attributes("a")]
    assert links
    assert all(link.removeprefix("#") in ids for link in links)


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_text_stands_out_from_its_ground():
    style = STYLE.read_text(encoding="utf-8")
    named = dict(re.findall(r"--(\w+): (#\w+)", style))
    rules = dict(re.findall(r"([.\w][^{}]*)\{([^{}]*)\}", style))
    pairs = [
        (named["ink"], ground) for ground in re.findall(r"(?:loss|gain)-\d \{ background: (#\w+)", style)
    ]
    for text in ("ink", "muted", "accent"):
        pairs += [(named[text], named[ground]) for ground in ("paper", "faint")]
    for rule in rules.values():
        ground = re.search(r"background: (#\w+)", rule)
        text = re.search(r"(?<![-\w])color: (#\w+)", rule)
        if ground and text:
            pairs.append((text[1], ground[1]))
    assert len(pairs) > 20
    # 4.5 to 1 is what WCAG 2.2 asks of text at level AA.
    assert {pair: contrast(*pair) for pair in pairs if contrast(*pair) < 4.5} == {}
