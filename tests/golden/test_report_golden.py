"""The report of the sample records, byte by byte.

After a wanted change, look at what it does and then write the expected files anew:

    EDGEFER_UPDATE_GOLDEN=1 python -m pytest tests/golden/test_report_golden.py && git diff tests/golden
"""

from __future__ import annotations

import os
from pathlib import Path

import edgefer
from edgefer.report.collect import collect
from edgefer.report.page import render
from tests.report_samples import records, save

EXPECTED = Path(__file__).parent / "report"


def test_the_report_is_as_expected(tmp_path, monkeypatch):
    monkeypatch.setattr(edgefer, "__version__", "0.0.0")  # a release does not change the expected files
    made = render(collect(save(tmp_path, records())))
    for name in ("report.md", "report.csv"):
        if os.environ.get("EDGEFER_UPDATE_GOLDEN"):
            (EXPECTED / name).write_bytes(made[name].encode())
        assert made[name].encode() == (EXPECTED / name).read_bytes()
