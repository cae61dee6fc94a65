from __future__ import annotations

import msgspec
import pytest

from edgefer.bench import environment as module
from edgefer.bench import throttling
from edgefer.bench.environment import FLAGS, cpu_flags, cpu_model, default_threads, environment, usable_cores

X86 = """processor\t: 0
model name\t: AMD EPYC 7B13
flags\t\t: fpu sse2 avx avx2 fma avx512_vnni
processor\t: 1
model name\t: something else
"""
ARM = """processor\t: 0
Features\t: fp asimd evtstrm asimdhp asimddp
CPU part\t: 0xd0b
"""


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Give the module another /proc/cpuinfo."""

    def give(text):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        monkeypatch.setattr(module, "CPUINFO", path)
        monkeypatch.setattr(module.platform, "system", lambda: "Linux")
        monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")

    return give


def test_an_x86_machine(cpuinfo):
    cpuinfo(X86)
    assert cpu_model() == "AMD EPYC 7B13"
    assert cpu_flags() == ["avx", "avx2", "fma", "avx512_vnni"]


def test_a_raspberry_pi(cpuinfo):
    cpuinfo(ARM)
    assert cpu_model() == "aarch64 part 0xd0b"
    assert cpu_flags() == ["asimd", "asimdhp", "asimddp"]


def test_a_machine_that_tells_nothing(cpuinfo, monkeypatch, tmp_path):
    cpuinfo("")
    monkeypatch.setattr(module.platform, "processor", lambda: "")
    monkeypatch.setattr(throttling, "GOVERNOR", tmp_path / "none")
    assert cpu_model() == "aarch64"
    assert cpu_flags() == []
    assert environment(1)["governor"] is None


@pytest.mark.parametrize(
    ("supplies", "source"),
    [
        ({}, None),
        (
            {"AC": {"type": "Mains", "online": "1"}, "BAT0": {"type": "Battery", "status": "Charging"}},
            "mains",
        ),
        (
            {"AC": {"type": "Mains", "online": "0"}, "BAT0": {"type": "Battery", "status": "Discharging"}},
            "battery",
        ),
        ({"mouse": {"type": "Battery", "status": "Discharging", "scope": "Device"}}, None),
    ],
)
def test_the_power_source(monkeypatch, tmp_path, supplies, source):
    monkeypatch.setattr(module, "SUPPLIES", tmp_path)
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n")
    assert module.power_source() == source


def test_this_machine():
    found = environment(3)
    assert found["threads"] == 3
    assert found["packages"]["edgefer"]
    assert found["memory_bytes"] > 1e8
    assert set(found["flags"]) <= set(FLAGS)
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    assert 1 <= default_threads() <= usable_cores()
