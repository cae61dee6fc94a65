from __future__ import annotations

import socket
from dataclasses import replace

import msgspec
import pytest
from bench_fakes import TARGET, NullSession, artifact, dataset, job, runtime

from edgefer.bench.environment import default_threads
from edgefer.bench.receipts import Receipt
from edgefer.bench.runner import run
from edgefer.bench.target import Options
from edgefer.errors import EdgeferError, InputError, TargetMismatchError, TargetUnavailableError
from edgefer.spec import LabelSet


def test_one_record_an_artifact_in_order():
    records = run([artifact("one"), artifact("two"), artifact("three")], job())
    assert [record.artifact.name for record in records] == ["one", "two", "three"]
    for record in records:
        assert [timing.batch for timing in record.timings] == [1, 4]
        assert all(len(timing.samples_ns) >= 3 and timing.warmup_ns for timing in record.timings)
        assert (record.kind, record.target, record.executed_on) == ("measured", "null", "null backend")
        assert record.cold_start.load_ns == 2_000_002
        assert record.peak_memory_bytes == 50_000_000
        assert record.accuracy is None
        assert record.artifact.sha256 == "a" * 64


def test_records_of_one_run_say_so_and_keep_their_rounds_and_receipts():
    one, two = run([artifact("one"), artifact("two")], job())
    (other,) = run([artifact("one")], job())
    assert one.run == two.run
    assert other.run not in ("", one.run)
    for first, second in zip(one.timings, two.timings, strict=True):
        assert len(first.blocks) == len(second.blocks) > 1
        assert first.receipt == second.receipt
        assert first.receipt.seconds >= 0
        assert bool(first.energy) != one.environment["energy"].startswith("no energy: ")


def test_a_busy_machine_makes_the_record_invalid(monkeypatch):
    receipt = Receipt({}, {}, 2.0, 0.6)
    monkeypatch.setattr("edgefer.bench.latency.Watch.receipt", lambda _: receipt)
    (record,) = run([artifact()], job())
    assert record.invalid.startswith("batch 1, 4: others kept 60% of the machine busy")


def test_the_environment_is_recorded_without_the_host():
    (record,) = run([artifact()], job())
    around = record.environment
    assert around["threads"] == 2
    assert len(around["load_before"]) == len(around["load_after"]) == 3
    assert {"cpu", "flags", "governor", "memory_bytes", "os", "python", "packages"} <= set(around)
    assert socket.gethostname() not in str(around)


def test_every_session_gets_the_threads_and_the_batches():
    opened = []

    def session(loaded, threads):
        opened.append(NullSession(loaded, threads))
        return opened[-1]

    run([artifact("one"), artifact("two")], job(runtimes=runtime(session), threads=3))
    assert [each.threads for each in opened] == [3, 3]
    assert all(set(each.ran) == {1, 4} for each in opened)


def test_threads_default_to_the_target_then_to_the_machine():
    wants_seven = msgspec.structs.replace(TARGET, options=Options(threads=7))
    assert job(threads=0, target=wants_seven).used_threads == 7
    assert job(threads=0).used_threads == default_threads()


def test_what_a_stand_in_answers_is_called_emulated_and_never_timed():
    stand_in = {"null": replace(runtime()["null"], stands_in=True)}
    scored = {"batches": (), "data": lambda _: dataset(wrong=3), "runtimes": stand_in}
    (record,) = run([artifact()], job(**scored))
    assert record.kind == "emulated"
    with pytest.raises(TargetUnavailableError, match="null tells accuracy, never latency"):
        run([artifact()], job(runtimes=stand_in))
    elsewhere = {**scored, "runtimes": runtime(), "target": msgspec.structs.replace(TARGET, elsewhere=True)}
    assert run([artifact()], job(**elsewhere))[0].kind == "emulated"


def test_only_accuracy():
    (record,) = run([artifact()], job(batches=(), data=lambda _: dataset(wrong=3)))
    assert record.timings == ()
    assert record.cold_start is None
    assert record.peak_memory_bytes is None
    assert record.accuracy.full.accuracy == pytest.approx(0.9)


def test_a_file_of_fixed_batch_is_noted_and_its_neighbours_run():
    fixed, free = run([artifact("fixed", batch=1), artifact("free")], job())
    assert [timing.batch for timing in fixed.timings] == [1]
    assert fixed.notes == ("batch 4 not run: the file is fixed to batch 1",)
    assert [timing.batch for timing in free.timings] == [1, 4]


def test_a_batch_that_fails_is_a_typed_error_with_its_reason():
    class Small(NullSession):
        def run(self, feed):
            if len(feed) > 1:
                raise RuntimeError("arena too small\nat node 7")
            return feed

    with pytest.raises(EdgeferError) as caught:
        run([artifact()], job(runtimes=runtime(Small)))
    assert caught.value.message == "toy-int8.tflite: batch 4 fails on null backend: arena too small"
    assert "--batch" in caught.value.hint


def test_a_fallback_is_a_mismatch():
    class Elsewhere(NullSession):
        executed_on = "CPU"

    with pytest.raises(TargetMismatchError, match="target null wants null, but it runs on CPU"):
        run([artifact()], job(runtimes=runtime(Elsewhere)))


def test_a_format_the_target_does_not_take():
    other = artifact()
    other = replace(
        other, container="onnx", manifest=msgspec.structs.replace(other.manifest, format="onnx-int8")
    )
    with pytest.raises(InputError, match=r"target null does not take onnx-int8; it takes: tflite-\*"):
        run([other], job())


def test_a_missing_runtime_is_found_before_any_file_is_loaded():
    with pytest.raises(TargetUnavailableError, match="target null cannot run tflite-int8: needs a null"):
        run([artifact()], job(runtimes=runtime(session=None, missing="needs a null")))


def test_unfit_data_is_refused_before_anything_is_loaded_or_timed():
    other = dataset(labels=LabelSet(source="folder", names=("sad", "glad", "calm")))
    with pytest.raises(InputError, match="toys has the classes sad, glad, calm"):
        run([artifact()], job(runtimes=runtime(session=None), data=lambda _: other))


def test_progress_covers_all_parts():
    seen = []
    run([artifact("one"), artifact("two")], job(data=lambda _: dataset()), lambda *told: seen.append(told))
    done = [told[0] for told in seen]
    assert done == sorted(done)
    assert {told[1] for told in seen} == {6}, "two cold starts, two batch sizes, two scores"
    assert seen[0][2] == "cold start, one-int8.tflite"
    assert seen[-1][2] == "accuracy, two-int8.tflite"
