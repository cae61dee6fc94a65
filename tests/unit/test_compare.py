"""``edgefer compare``: verdicts on records of which one knows the truth, and what it refuses to compare."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.bench.comparing import compare_batch
from edgefer.bench.record import BatchTiming, save_record
from edgefer.cli import main as entry
from tests.report_samples import emulated, record

ROUNDS, SIZE = 20, 40


def measured(seed, *, slower=1.0, run="", drift=None, batch=1, noise=0.02, wild=0, **changes):
    """A record of one batch size: blocks with noise of their own, on a machine that ``drift`` (ROUNDS,) slows."""
    random = np.random.default_rng(seed)
    level = (
        100_000 * slower * np.exp(noise * random.standard_normal(ROUNDS)) * (1 if drift is None else drift)
    )
    level[:wild] *= 5
    runs = (level[:, None] * np.exp(0.005 * random.standard_normal((ROUNDS, SIZE)))).ravel()
    timing = BatchTiming(batch=batch, warmup_ns=(), samples_ns=tuple(map(int, runs)), blocks=(SIZE,) * ROUNDS)
    return record("tflite-int8", timings=(timing,), run=run, **changes)


def pair(seed, slower=1.0, **changes):
    """A and B of one run, on a machine whose pace wanders by 10 % from round to round."""
    drift = np.exp(0.1 * np.random.default_rng(seed + 7).standard_normal(ROUNDS).cumsum())
    a = measured(seed, run="r", drift=drift, **changes)
    return a, measured(seed + 1, slower=slower, run="r", drift=drift, **changes)


def test_equal_files_in_one_run_are_called_different_at_most_once_in_a_hundred():
    """99 % intervals and the placement term on top: of 300 at most 3."""
    verdicts = [compare_batch(*[[each] for each in pair(2 * seed)], 1).verdict for seed in range(300)]
    assert 300 - verdicts.count("not significant") <= 3


@pytest.mark.parametrize(("slower", "verdict"), [(1.05, "slower"), (1 / 1.05, "faster")])
def test_five_percent_are_found_while_the_machine_wanders(slower, verdict):
    for seed in range(40):
        a, b = pair(2 * seed, slower, noise=0.01)
        found = compare_batch([a], [b], 1)
        assert found.verdict == verdict
        assert found.low < slower < found.high
        assert found.basis == "20 rounds of 1 run"


def test_wild_rounds_do_not_hide_a_difference():
    a, b = pair(5, 1.05, noise=0.005, wild=2)
    calm = measured(5, run="r")
    assert compare_batch([a], [b], 1).verdict == "slower"
    assert compare_batch([calm], [measured(6, run="r", wild=3)], 1).verdict == "not significant"


def test_records_of_different_runs_need_more():
    """Run-to-run variation of 2.5 % a side: 5 % cannot be told, 15 % can."""
    a = measured(1, run="one")
    assert compare_batch([a], [measured(2, slower=1.05, run="two")], 1).verdict == "not significant"
    assert compare_batch([a], [measured(2, slower=1.15, run="two")], 1).verdict == "slower"
    assert compare_batch([a], [measured(2, slower=0.85)], 1).verdict == "faster"


def test_runs_that_disagree_widen_the_interval():
    steady = [measured(n, run=f"a{n}") for n in range(4)]
    unruly = [measured(n, run=f"b{n}", slower=1 + 0.2 * (n % 2)) for n in range(4)]
    narrow = compare_batch(steady, [measured(9, run="b")], 1)
    wide = compare_batch(steady, unruly, 1)
    assert np.log(wide.high / wide.low) > 2 * np.log(narrow.high / narrow.low)


def test_several_runs_of_both_narrow_it():
    drifts = [pair(2 * n, 1.02, noise=0.01) for n in range(5)]
    runs = [[msgspec.structs.replace(each, run=f"r{n}") for each in both] for n, both in enumerate(drifts)]
    one = compare_batch([runs[0][0]], [runs[0][1]], 1)
    five = compare_batch([a for a, _ in runs], [b for _, b in runs], 1)
    assert five.basis == "100 rounds of 5 runs"
    assert five.high - five.low < one.high - one.low
    assert five.low < 1.02 < five.high


def test_too_few_rounds_give_no_verdict():
    timing = BatchTiming(batch=1, warmup_ns=(), samples_ns=(10,) * 12, blocks=(3,) * 4)
    slow = BatchTiming(batch=1, warmup_ns=(), samples_ns=(50,) * 12, blocks=(3,) * 4)
    a, b = (record("tflite-int8", timings=(each,), run="r") for each in (timing, slow))
    found = compare_batch([a], [b], 1)
    assert (found.verdict, found.low, found.high) == ("not significant", None, None)
    assert found.ratio == pytest.approx(5)
    assert found.basis.endswith("too few for an interval")


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.8, 1.25), st.booleans())
def test_the_other_way_round_says_the_opposite(seed, slower, together):
    a, b = pair(seed, slower)
    if not together:
        b = msgspec.structs.replace(b, run="another")
    there, back = compare_batch([a], [b], 1), compare_batch([b], [a], 1)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)
    opposite = {"faster": "slower", "slower": "faster", "not significant": "not significant"}
    assert back.verdict == opposite[there.verdict]


@pytest.fixture
def compare(monkeypatch, capsys, tmp_path):
    """Save records as a.json and b.json and run ``edgefer compare`` on them."""

    def call(a, b, *words):
        for name, side in (("a", a), ("b", b)):
            for number, each in enumerate(side if isinstance(side, list) else [side]):
                save_record(each, tmp_path / name / f"{number}.json")
        sides = (tmp_path / "a", tmp_path / "b")
        monkeypatch.setattr("sys.argv", ["edgefer", "compare", *map(str, sides), *words])
        with pytest.raises(SystemExit) as done:
            entry.main()
        return done.value.code, *capsys.readouterr()

    return call


def test_the_verdict_is_printed(compare):
    code, out, err = compare(*pair(4, 1.05, noise=0.005))
    assert code == 0, err
    assert "slower" in out
    assert "20 rounds of 1 run" in out


def test_json(compare):
    code, out, _ = compare(*pair(4, 1.05, noise=0.005), "--json")
    found = json.loads(out)
    assert code == 0
    (batch,) = found["compared"]
    assert batch["verdict"] == "slower"
    assert batch["low"] < 1.05 < batch["high"]
    assert found["differences"] == found["invalid"] == []


AROUND = record("tflite-int8").environment | {"power": "mains"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"environment": AROUND | {"governor": "powersave"}}, "governor (performance and powersave)"),
        ({"environment": AROUND | {"threads": 4}}, "threads (2 and 4)"),
        ({"environment": AROUND | {"power": "battery"}}, "power (mains and battery)"),
        ({"environment": AROUND | {"cpu": "Other CPU"}}, "cpu"),
        ({"target": "raspberry-pi-4"}, "target (cpu and raspberry-pi-4)"),
        ({"executed_on": "LiteRT 2.3.0, builtin kernels"}, "executed on (LiteRT 2.3.0, XNNPACK and"),
    ],
)
def test_unlike_circumstances_are_refused_and_named_unless_across(compare, changes, named):
    a, b = measured(1, environment=AROUND), measured(2, **changes)
    code, out, err = compare(a, b)
    assert (code, out) == (2, "")
    assert named in err
    code, out, err = compare(a, b, "--across")
    assert code == 0
    assert f"compared across: {named}" in err


def test_another_container_is_another_runtime_and_no_unlike_circumstance(compare):
    onnx = msgspec.structs.replace(
        record("onnx-int8"), timings=measured(2).timings, executed_on="ONNX Runtime 1.31.1"
    )
    assert compare(measured(1), onnx)[0] == 0


def test_invalid_records_are_refused_unless_told(compare):
    busy = measured(1, invalid="others kept 60% of the machine busy")
    code, _, err = compare(busy, measured(2))
    assert code == 2
    assert "others kept 60% of the machine busy" in err
    code, _, err = compare(busy, measured(2), "--invalid")
    assert code == 0
    assert "INVALID: " in err


def test_times_that_may_not_be_trusted_are_named(compare):
    a, b = pair(4, 1.05, noise=0.005)
    wild = msgspec.structs.replace(b.timings[0], unstable="p90 is 1.9 times the median")
    code, out, err = compare(a, msgspec.structs.replace(b, timings=(wild,)), "--json")
    assert code == 0
    (told,) = json.loads(out)["unstable"]
    assert told.endswith("at batch 1: p90 is 1.9 times the median")
    assert f"unstable: {told}" in err


def test_a_gates_verdict_among_the_records_is_none(compare, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "gate.json").write_text('{"gate": "pass"}')
    assert compare(*pair(4, 1.05, noise=0.005))[0] == 0


@pytest.mark.parametrize(
    ("b", "line"),
    [
        (emulated("tflite-int8"), "holds no times (emulated)"),
        (measured(2, batch=8), "no batch size is common to all records: A has 1, B has 8"),
        ([measured(2), record("onnx-int8")], "holds records of 2 artifacts"),
        (record("tflite-int8", timings=()), "holds no times (accuracy only)"),
        ([measured(2, run="r"), measured(3, run="r")], "holds two records of one run"),
    ],
)
def test_what_cannot_be_compared_is_refused_whatever_is_told(compare, b, line):
    code, out, err = compare(measured(1), b, "--across", "--invalid")
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("edgefer: error:") == 1


def test_a_record_is_not_compared_with_itself(monkeypatch, capsys, tmp_path):
    save_record(measured(1), tmp_path / "a.json")
    monkeypatch.setattr("sys.argv", ["edgefer", "compare", str(tmp_path), str(tmp_path / "*.json")])
    with pytest.raises(SystemExit) as done:
        entry.main()
    assert done.value.code == 2
    assert "the same record on both sides" in capsys.readouterr().err
