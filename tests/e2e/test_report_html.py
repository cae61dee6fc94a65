"""The page in a real browser. Chromium must be on PATH; ``.ci/run`` installs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer.gating.record import save_gate
from edgefer.report.collect import gather
from edgefer.report.page import render
from edgefer.report.pictures import pictures_of
from edgefer.report.words import between, points
from tests.report_samples import LABELS, gate, records, save

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# Writes down, where --dump-dom shows it, what only a laid-out page knows.
PROBE = """<script>
const all = (css) => [...document.querySelectorAll(css)];
const wide = all("main *:not(.scroll *):not(svg *)")
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
document.body.dataset.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.body.dataset.wide = wide.map(e => e.tagName + "." + e.className).join(" ");
document.body.dataset.cut = all(".scroll").filter(e => e.scrollWidth > e.clientWidth).length;
document.body.dataset.broken = all("img").filter(e => !e.complete || !e.naturalWidth).length;
document.body.dataset.faces = all("img").length;
document.body.dataset.flat = all("svg").filter(e => e.getBoundingClientRect().height < 80).length;
document.body.dataset.loaded = performance.getEntriesByType("resource").length;
</script></body>"""

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)


def browse(page: Path, profile: Path, *options: str, width: int = 1280, height: int = 2400) -> str:
    assert BROWSER is not None
    size = f"--window-size={width},{height}"
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", size, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    save(folder / "runs", records())
    save_gate(gate(), folder / "runs" / "gate.json")
    found = gather([folder / "runs"])
    made = render(found.groups, found.gates, pictures_of(found.gates, "synthetic"))
    path.write_text(str(made["report.html"]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def dom(page) -> str:
    return browse(page, page.parent / "profile", "--dump-dom")


def measure(page: Path, width: int) -> dict[str, str]:
    """What the probe finds in a copy of the page whose policy lets it run."""
    copy = page.with_name("probed.html")
    text = page.read_text(encoding="utf-8")
    copy.write_text(POLICY.sub("", text).replace("</body>", PROBE), encoding="utf-8")
    dumped = browse(copy, page.parent / "profile", "--dump-dom", width=width)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', dumped[dumped.index("<body") : dumped.index("<header")]))


def test_tables_and_plots_are_in_the_rendered_page(dom):
    captions = re.findall(r"<caption>(.*?)</caption>", dom)
    tables = ("Artifacts on", "F1 drop per class on", "Environment of")
    for target, more in (("cpu, measured", ("Speed on",)), ("raspberry-pi-5, emulated", ())):
        for start in (*tables, *more):
            assert any(caption.startswith(f"{start} {target}") for caption in captions), (start, target)
    assert "Artifacts by target" in captions
    assert "raspberry-pi-5, emulated: beside the machine that emulated" in captions
    assert not [caption for caption in captions if re.match("Speed on .*emulated", caption)]
    assert {"float mobilenetv2", "onnx-int8", "tflite-int8"} <= set(captions)  # the confusion matrices
    plots = re.findall(r'<svg [^>]*role="img"[^>]*aria-label="[^"]{20,}"', dom)
    assert len(plots) == 4 + 3 + 1, "there is no latency to plot where it was emulated"
    assert all(f"<span>{name}</span></th>" in dom for name in LABELS.names)


def test_numbers_shown_are_the_records_numbers(dom):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", dom))
    for each in records():
        assert f"{each.accuracy.full.weighted_f1:.4f}" in text
        assert all(f"{timing.fps:,.0f}" in text for timing in each.timings)
    judged = gate()
    weighted = judged.weighted_drop
    assert between(weighted.value, weighted.low, weighted.high) in text
    for each in judged.classes:
        drop = (points(value) for value in (each.drop.value, each.drop.low, each.drop.high))
        assert "{} {} to {}".format(*drop) in text


def test_tables_are_readable_without_seeing_them(dom):
    tables = re.findall(r"<table.*?</table>", dom, flags=re.DOTALL)
    assert len(tables) > 15
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table
    assert '<html lang="en">' in dom
    assert len(re.findall("<h1", dom)) == 1


def test_nothing_is_requested_and_nothing_sticks_out(page):
    found = measure(page, 1280)
    nothing = {"overflow": "0", "wide": "", "cut": "0", "flat": "0", "broken": "0", "loaded": "0"}
    assert found == nothing | {"faces": str(len(gate().worst))}


def test_a_narrow_window_scrolls_tables_and_not_the_page(page):
    found = measure(page, 600)
    assert (found["overflow"], found["wide"]) == ("0", "")


def test_the_page_is_not_blank(page):
    shot = page.with_name("shot.png")
    browse(page, page.parent / "profile", f"--screenshot={shot}")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] == 1280
    painted = (pixels != 255).any(axis=2)
    assert 0.05 < painted.mean() < 0.6
    bands = np.array_split(painted, 8)
    assert all(band.any() for band in bands)


def test_the_committed_records_make_a_page_with_their_numbers(tmp_path):
    kept = Path(__file__).parents[2] / "benchmarks" / "records"
    measured = sorted((kept / "s0-mobilenetv2").glob("*.cpu.json"))
    emulated = sorted((kept / "pi" / "s0-mobilenetv2").glob("*.json"))
    found = gather([*measured, *emulated, *sorted((kept / "gate").glob("mobilenetv2*.json"))])
    page = tmp_path / "report.html"
    page.write_text(str(render(found.groups, found.gates)["report.html"]), encoding="utf-8")
    assert measure(page, 1280)["overflow"] == "0"
    dumped = browse(page, tmp_path / "profile", "--dump-dom")
    rows = [
        re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", dumped, flags=re.DOTALL)
    ]
    for group in found.groups:
        for run in group.runs:
            scores = {
                f"{run.record.accuracy.full.weighted_f1:.4f}",
                f"{run.record.accuracy.full.macro_f1:.4f}",
            }
            mine = [set(row) for row in rows if row[: len(run.label.split())] == run.label.split()]
            assert any(scores <= row for row in mine), run.label
            assert all(
                any(f"{t.fps:,.0f}" in row for row in mine) for t in run.record.timings if t.fps >= 100
            )
    for gated in found.gates:
        drop = gated.gate.weighted_drop
        assert f"{points(drop.low)} to {points(drop.high)}" in dumped


def test_on_paper_it_is_some_landscape_pages(page):
    paper = page.with_name("report.pdf")
    browse(page, page.parent / "profile", "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    sizes = [tuple(map(float, each)) for each in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)]
    assert 8 < len(sizes) < 40
    assert all(
        width == pytest.approx(842, abs=2) and height == pytest.approx(595, abs=2) for width, height in sizes
    )
