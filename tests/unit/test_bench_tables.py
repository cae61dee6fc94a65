"""What ``edgefer bench`` prints where several machines, or several sets of rows, are in one run."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edgefer.bench.runner import Job
from edgefer.bench.target import load_target
from edgefer.cli import console
from edgefer.cli.bench_tables import show
from edgefer.errors import InputError
from tests.report_samples import record


def titles(text: str) -> list[str]:
    return [
        line.strip()
        for line in text.splitlines()
        if re.match(r"(Latency|MLPerf|First|Accuracy)", line.strip())
    ]


def test_each_machine_has_tables_of_its_own(capsys):
    one = record("tflite-int8")
    show([one, one], [Path("runs/pi-a/x.json"), Path("runs/pi-b/x.json")], as_json=False)
    found = titles(capsys.readouterr().out)
    assert len(found) == 8
    assert [("(pi-a)" in title, "(pi-b)" in title) for title in found] == [(True, False)] * 4 + [
        (False, True)
    ] * 4


def test_one_machine_is_not_named(capsys):
    show([record("tflite-int8")] * 2, [Path("runs/x.json"), Path("runs/y.json")], as_json=False)
    assert not [title for title in titles(capsys.readouterr().out) if "runs" in title]


def test_files_scored_on_other_rows_stand_under_a_title_of_their_own(capsys):
    one = record("tflite-int8")
    full = msgspec.structs.replace(one.accuracy.full, n=100)
    other = msgspec.structs.replace(one, accuracy=msgspec.structs.replace(one.accuracy, full=full))
    show([one, other], [Path("runs/x.json"), Path("runs/y.json")], as_json=False)
    accuracy = [title for title in titles(capsys.readouterr().out) if title.startswith("Accuracy")]
    assert len(accuracy) == 2
    assert ": 100 test rows" in accuracy[1]


def test_a_number_of_threads_that_would_be_ignored_is_refused():
    coreml = load_target("coreml")
    with pytest.raises(InputError, match="target coreml sets its number of threads itself"):
        Job(target=coreml, plan=coreml.measure.plan(), threads=2)
    Job(target=load_target("cpu"), plan=coreml.measure.plan(), threads=2)


def test_square_brackets_are_printed_as_they_are(capsys):
    console.print_table("m[bold].keras", ("file [kB]",), [("a[red].tflite",)])
    out = capsys.readouterr().out
    for words in ("m[bold].keras", "file [kB]", "a[red].tflite"):
        assert words in out
