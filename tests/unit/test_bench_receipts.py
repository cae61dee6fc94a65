"""Who used the machine while something was measured, and which times do not count for it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench import receipts
from edgefer.bench.receipts import (
    OTHERS_LIMIT,
    SHORTEST,
    Receipt,
    Watch,
    invalid_batches,
    others_share,
    state,
    why_invalid,
)

QUIET = {"throttled": None, "throttle_count": None}


def receipt(others=0.0, before=QUIET, after=QUIET):
    return Receipt(before, after, 2.0, others)


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.fixture
def stat(tmp_path, monkeypatch):
    """A /proc/stat that says what it is told, in ticks: user, steal."""
    path = tmp_path / "stat"

    def write(user, steal=0):
        path.write_text(f"cpu  {user} 0 0 900 5 0 0 {steal} 0 0\ncpu0 1 2 3 4\n")

    write(1000)
    monkeypatch.setattr(receipts, "STAT", path)
    return write


def test_our_own_threads_are_not_the_others(stat, monkeypatch):
    """Two of our threads wait busily for a second; the machine was busy with just that."""
    monkeypatch.setattr(receipts, "SHORTEST", 0.1)
    watch, own = Watch(), receipts.own_seconds()
    workers = [threading.Thread(target=spin, args=(0.3,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ticks = (receipts.own_seconds() - own) * os.sysconf("SC_CLK_TCK")
    stat(1000 + round(ticks))
    assert watch.receipt().others == pytest.approx(0, abs=0.02), "a tick of 10 ms in 0.3 s"


def test_a_child_of_ours_that_has_ended_is_not_the_others_either(stat, monkeypatch):
    monkeypatch.setattr(receipts, "SHORTEST", 0.01)
    watch, before = Watch(), receipts.own_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    used = receipts.own_seconds() - before
    assert used > 0.01
    stat(1000 + round(used * os.sysconf("SC_CLK_TCK")))
    assert watch.receipt().others == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("column", ["user", "steal"])
def test_others_and_other_guests_count(stat, monkeypatch, column):
    monkeypatch.setattr(receipts, "SHORTEST", 0.1)
    watch = Watch()
    time.sleep(0.2)
    stat(**({"user": 1000} | {column: 1000 if column == "user" else 0}))
    more = round(0.2 * (os.cpu_count() or 1) * os.sysconf("SC_CLK_TCK"))  # all cores all the time
    stat(1000 + more * (column == "user"), more * (column == "steal"))
    assert watch.receipt().others > 0.7


def test_the_real_machine_answers():
    watch = Watch()
    time.sleep(0.05)
    found = watch.receipt()
    assert found.others is None, f"shorter than {SHORTEST} s"
    assert set(found.before) == set(found.after) == set(state())
    assert {"clocks_mhz", "governor", "load", "temperature_c", "throttled"} <= set(found.before)


def test_a_system_that_does_not_tell_is_not_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(receipts, "STAT", tmp_path / "none")
    monkeypatch.setattr(receipts, "SHORTEST", 0.0)
    found = Watch().receipt()
    assert found.others is None
    assert why_invalid(found) == ""


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0.1, 1e3), st.integers(1, 256))
def test_a_share_is_a_share(busy, own, seconds, cores):
    share = others_share(busy, own, seconds, cores)
    assert 0 <= share <= 1
    assert share == 0 or busy > own


@given(st.floats(0, 1))
def test_times_count_up_to_the_limit(share):
    assert bool(why_invalid(receipt(share))) == (share > OTHERS_LIMIT)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"throttled": 0}, {"throttled": 4}, "held back"),
        ({"throttle_count": 7}, {"throttle_count": 9}, "slowed for its heat"),
        ({"throttle_count": 7}, {"throttle_count": 7}, ""),
        ({"throttle_count": None}, {"throttle_count": 3}, ""),
    ],
)
def test_throttling_spoils(before, after, reason):
    found = why_invalid(receipt(0.0, QUIET | before, QUIET | after))
    assert reason in found if reason else found == ""


def test_the_batch_sizes_are_named():
    found = invalid_batches({1: receipt(0.5), 8: receipt(0.01), 64: receipt(0.3)})
    assert found.startswith("batch 1, 64: others kept 50% of the machine busy")
    assert invalid_batches({1: receipt(0.0)}) == ""


def test_heat_and_clocks_are_read(tmp_path, monkeypatch):
    for number, clock in ((0, 2_400_000), (10, 1_800_000), (2, 600_000)):
        cpu = tmp_path / f"cpu{number}"
        (cpu / "cpufreq").mkdir(parents=True)
        (cpu / "cpufreq" / "scaling_cur_freq").write_text(f"{clock}\n")
        (cpu / "thermal_throttle").mkdir()
        (cpu / "thermal_throttle" / "core_throttle_count").write_text("3\n")
    monkeypatch.setattr(receipts, "CPUS", tmp_path)
    found = state()
    assert found["clocks_mhz"] == [2400.0, 600.0, 1800.0]
    assert found["throttle_count"] == 9
