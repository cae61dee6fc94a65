"""Energy counters, of machines that are not here."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench import metering
from edgefer.bench.metering import Pmic, consumption, find_meter, gained, rail_watts

# A Raspberry Pi 5's own words, shortened.
ANSWER = """\
     3V7_WL_SW_A current(0)=0.09760000A
       3V3_SYS_A current(1)=0.06246400A
      VDD_CORE_A current(7)=1.50000000A
     3V7_WL_SW_V volt(8)=3.71002300V
       3V3_SYS_V volt(9)=3.31084600V
      VDD_CORE_V volt(15)=0.80000000V
          EXT5V_V volt(24)=5.13636000V
"""


class Counter:
    """A RAPL folder in which each run of a contender costs what it is told."""

    def __init__(self, folder, reach=10**9):
        self.folder, self.reach, self.value = folder, reach, 0
        for name, kind in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:1", "psys"),
        ):
            zone = folder / name
            zone.mkdir(parents=True)
            (zone / "name").write_text(f"{kind}\n")
            (zone / "max_energy_range_uj").write_text(f"{reach}\n")
            (zone / "energy_uj").write_text("0\n")

    def costs(self, microjoules):
        """A run of that cost."""

        def run():
            self.value = (self.value + microjoules) % self.reach
            (self.folder / "intel-rapl:0" / "energy_uj").write_text(f"{self.value}\n")

        return run


@pytest.fixture
def counter(tmp_path, monkeypatch):
    monkeypatch.setattr(metering, "POWERCAP", tmp_path)
    monkeypatch.setattr(metering, "BLOCK_SECONDS", 0.01)
    return Counter(tmp_path, reach=50_000)


def test_each_contender_has_its_own_energy_over_wraps(counter):
    meter, reason = find_meter(gpu=False)
    assert reason == ""
    runs = {"cheap": counter.costs(3), "dear": counter.costs(90)}
    found = consumption(runs, meter)
    for name, cost in (("cheap", 3e-6), ("dear", 90e-6)):
        each = found[name]
        assert len(each.joules) == metering.BLOCKS
        # The fake counter may wrap more than once in a block; those blocks are off by whole ranges.
        gaps = [(joules - cost * runs) / 0.05 for joules, runs in zip(each.joules, each.runs, strict=True)]
        assert all(abs(gap - round(gap)) < 1e-6 for gap in gaps)
        assert each.counter == "RAPL, processor packages"


@given(st.integers(1, 10**12), st.data())
def test_a_counter_wraps_at_its_range(reach, data):
    first = data.draw(st.integers(0, reach - 1))
    used = data.draw(st.integers(0, reach - 1))
    assert gained(first, (first + used) % reach, reach) == used


def test_only_root_may_read(counter, monkeypatch):
    del counter

    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(metering, "_number", refuse)
    meter, reason = find_meter(gpu=False)
    assert meter is None
    assert "no energy: RAPL may only be read by root here" in reason


def test_without_a_counter_the_reason_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(metering, "POWERCAP", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_meter(gpu=False) == (
        None,
        "no energy: the machine offers no RAPL counter; there is no vcgencmd",
    )


def test_a_card_that_is_not_there_is_said(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(metering.ctypes, "CDLL", missing)
    meter, reason = find_meter(gpu=True)
    assert meter is None
    assert reason.startswith("no energy: NVML cannot be asked")


def test_rails_with_volts_and_amperes_count():
    assert rail_watts(ANSWER) == pytest.approx(0.0976 * 3.710023 + 0.062464 * 3.310846 + 1.5 * 0.8)
    with pytest.raises(OSError, match="no rail"):
        rail_watts('error=1 error_msg="Command not registered"\n')


def test_power_becomes_energy(tmp_path, monkeypatch):
    command = tmp_path / "vcgencmd"
    command.write_text(f"#!/bin/sh\n[ $1 = pmic_read_adc ] && cat <<'END'\n{ANSWER}END\n")
    command.chmod(0o755)
    monkeypatch.setattr(metering, "POWERCAP", tmp_path / "none")
    monkeypatch.setattr(metering, "PMIC_INTERVAL", 0.01)
    monkeypatch.setattr(metering, "BLOCK_SECONDS", 0.1)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    meter, _ = find_meter(gpu=False)
    assert isinstance(meter, Pmic)
    found = consumption({"a": lambda: None}, meter)["a"]
    watts = rail_watts(ANSWER)
    # A block of 0.1 s, and the time that asking takes at its ends.
    assert all(0.1 * watts < joules < 1.0 * watts for joules in found.joules)
