from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from bench_fakes import artifact, baseline, dataset, job
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefer.bench.metering import Consumption
from edgefer.bench.record import BatchTiming, RunRecord, load_record, save_record
from edgefer.bench.runner import run
from edgefer.bench.summary import remarks, summarize
from edgefer.errors import InputError

nanoseconds = st.lists(st.integers(1, 10**12), min_size=1, max_size=50).map(tuple)


@pytest.fixture(scope="module")
def record():
    data = dataset(wrong=3, leaked=[1])
    (made,) = run([artifact(baseline=baseline(data), batch=1)], job(data=lambda _: data))
    return made


def test_round_trip(record, tmp_path):
    save_record(record, tmp_path / "deep" / "r.json")
    assert load_record(tmp_path / "deep" / "r.json") == record


def test_equal_records_give_equal_bytes(record, tmp_path):
    save_record(record, tmp_path / "a.json")
    save_record(load_record(tmp_path / "a.json"), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"], (
        "no temporary file is left"
    )


@given(batch=st.integers(1, 4096), warmup=nanoseconds, samples=nanoseconds, unstable=st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_timing_survives_the_round_trip(record, batch, warmup, samples, unstable):
    timing = BatchTiming(batch=batch, warmup_ns=warmup, samples_ns=samples, unstable=unstable)
    changed = msgspec.structs.replace(record, timings=(timing,))
    assert msgspec.json.decode(msgspec.json.encode(changed), type=RunRecord) == changed


@given(samples=nanoseconds, batch=st.integers(1, 512))
def test_latency_quantiles_and_fps(samples, batch):
    timing = BatchTiming(batch=batch, warmup_ns=(), samples_ns=samples)
    assert min(samples) <= timing.latency_ns(0.5) <= timing.latency_ns(0.9) <= timing.latency_ns(0.99)
    assert timing.latency_ns(0.99) <= max(samples)
    assert timing.latency_ns(0.5) == pytest.approx(float(np.median(samples)))
    assert timing.fps == pytest.approx(batch * 1e9 / float(np.median(samples)))


def test_fps_is_batch_over_median_not_over_mean():
    timing = BatchTiming(batch=8, warmup_ns=(), samples_ns=(2_000_000, 2_000_000, 26_000_000))
    assert timing.fps == pytest.approx(4000.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"comment": "hello"}, "unknown field `comment`"),
        ({"schema": 2}, "schema 2, this edgefer reads 1"),
        ({"kind": "guessed"}, "Invalid enum value 'guessed'"),
        ({"target": 7}, "Expected `str`"),
    ],
)
def test_what_is_no_record_of_this_schema_is_refused(record, tmp_path, change, words):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(msgspec.to_builtins(record) | change))
    with pytest.raises(InputError) as caught:
        load_record(path)
    assert words in str(caught.value)


def test_records_from_before_the_optional_fields_are_read(record, tmp_path):
    plain = msgspec.to_builtins(record)
    del plain["run"]
    for timing in plain["timings"]:
        for name in ("blocks", "receipt", "energy"):
            del timing[name]
    for name in ("warm_load_ns", "warm_first_ns"):
        del plain["cold_start"][name]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(plain))
    old = load_record(path)
    assert old.run == ""
    assert (old.timings[0].blocks, old.timings[0].receipt, old.timings[0].millijoules) == ((), None, None)
    assert summarize(old)["warm_start_ms"] is None


def test_energy_of_an_image_is_the_median_of_the_blocks(record, tmp_path):
    spent = Consumption("a counter", joules=(1.0, 2.0, 9.0), runs=(100, 100, 100))
    timing = msgspec.structs.replace(record.timings[0], batch=4, energy=spent)
    save_record(msgspec.structs.replace(record, timings=(timing,)), tmp_path / "r.json")
    (read,) = load_record(tmp_path / "r.json").timings
    assert read == timing
    assert read.millijoules == pytest.approx(5.0), "2 J for 100 runs of 4 images"


@pytest.mark.parametrize("blocks", [(2,), (2, 2), (3, 0)])
def test_blocks_that_do_not_divide_the_samples_are_refused(blocks):
    with pytest.raises(ValueError, match="blocks must divide the samples"):
        BatchTiming(batch=1, warmup_ns=(), samples_ns=(1, 2, 3), blocks=blocks)


def test_truncated_or_missing_records_are_refused(record, tmp_path):
    path = tmp_path / "r.json"
    save_record(record, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a RunRecord"):
        load_record(path)
    with pytest.raises(InputError, match="no such file"):
        load_record(tmp_path / "none.json")


def test_the_summary_is_what_the_record_says(record):
    found = summarize(record)
    assert found["latency"][0]["fps"] == record.timings[0].fps
    assert found["latency"][0]["median_ms"] == record.timings[0].latency_ns() / 1e6
    assert found["cold_start_ms"] == pytest.approx(3.000002)
    assert found["accuracy"]["f1_drop"] == record.accuracy.f1_drop > 0
    json.dumps(msgspec.to_builtins(found))


def test_remarks_overlook_nothing(record):
    timing = BatchTiming(batch=1, warmup_ns=(), samples_ns=(1, 2), unstable="drifting")
    accuracy = msgspec.structs.replace(record.accuracy, baseline=None, drop_skipped="no baseline")
    changed = msgspec.structs.replace(record, timings=(timing,), accuracy=accuracy)
    assert remarks(changed) == [
        "batch 4 not run: the file is fixed to batch 1",
        "batch 1 is unstable: drifting",
        "no F1 drop: no baseline",
    ]
