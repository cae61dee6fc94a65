"""When a Raspberry Pi was held back, its times do not count."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench import throttling
from edgefer.bench.throttling import SINCE_BOOT, pace, signs, spoilt


def flags(value):
    return {"throttled": value}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (0x0, 0x0, ""),
        (0x4, 0x0, "throttled"),
        (0x0, 0x1, "under-voltage"),
        (0x0, 0xA, "frequency capped, soft temperature limit"),
        # it happened before the run; whether again, nothing tells
        (0x50000, 0x50000, ""),
        # it happened and was over during the run
        (0x10000, 0x50000, "throttled"),
        (None, 0x1, ""),
    ],
)
def test_what_spoils_a_run(before, after, reason):
    said = spoilt(flags(before), flags(after))
    assert said == (f"the board was held back while it was measured: {reason}" if reason else "")


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15))
def test_a_run_counts_only_if_nothing_held_and_nothing_new_has_held(now, then, since):
    before, after = now | since << SINCE_BOOT, then | since << SINCE_BOOT
    assert bool(spoilt(flags(before), flags(after))) == bool(now or then)


def test_flags_in_words():
    assert signs(0x50005) == "under-voltage, throttled"
    assert signs(0x50000) == ""


def test_vcgencmd_is_asked_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(throttling, "TEMPERATURE", tmp_path / "temp")
    (tmp_path / "temp").write_text("61234\n")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert pace()["throttled"] is None
    command = tmp_path / "vcgencmd"
    command.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50005\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert pace()["throttled"] == 0x50005
    assert pace()["temperature_c"] == 61.234
    command.write_text("#!/bin/sh\necho VCHI initialization failed >&2; exit 255\n")
    assert pace()["throttled"] is None
