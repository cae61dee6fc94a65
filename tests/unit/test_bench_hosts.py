"""Records of several hosts: each is kept as soon as it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.bench.record import load_record
from edgefer.cli.bench_hosts import on_hosts
from edgefer.errors import TargetUnavailableError
from edgefer.remote import hosts
from edgefer.remote.hosts import Host, Outcome
from tests.report_samples import record


def done(address):
    return Outcome(Host(address), records=(record("tflite-int8"),))


def bench(monkeypatch, tmp_path, outcomes):
    monkeypatch.setattr(hosts, "bench_on_hosts", outcomes)
    return on_hosts([], None, [tmp_path / "x.json"], ["me@a", "b"], "python3", cache=True)


def test_the_hosts_that_were_done_keep_their_records_when_the_rest_is_interrupted(
    monkeypatch, tmp_path: Path
):
    def outcomes(*_):
        yield done("b")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench(monkeypatch, tmp_path, outcomes)
    assert load_record(tmp_path / "b" / "x.json").artifact.format == "tflite-int8"


def test_they_are_told_in_the_order_they_were_named_in_and_a_failure_with_them(monkeypatch, tmp_path: Path):
    failure = TargetUnavailableError("a: no answer")
    found, error = bench(monkeypatch, tmp_path, lambda *_: iter([done("b"), done("me@a")]))
    assert ([file.parent.name for _, file in found], error) == (["a", "b"], None)
    found, error = bench(
        monkeypatch, tmp_path, lambda *_: iter([done("b"), Outcome(Host("me@a"), error=failure)])
    )
    assert ([file.parent.name for _, file in found], error) == (["b"], failure)
