"""A bundle's results, carried back by hand: what becomes a record, and what must not."""

from __future__ import annotations

import json
import shutil

import pytest
from artifact_samples import make, weights
from click.testing import CliRunner
from test_bundle import OnTheDesk

from edgefer.bench.record import load_record
from edgefer.cli.collect import command
from edgefer.errors import InputError, TargetMismatchError, VerificationError

PI = {"system": "Linux", "machine": "aarch64", "board": "Raspberry Pi 5 Model B Rev 1.0"}
QUICK = ("--bench", "--min-time", "0.02", "--threads", "1")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A bundle that measured on this machine, into ``raw``."""
    folder = tmp_path_factory.mktemp("desk")
    bundle = OnTheDesk(folder)
    done = bundle(*QUICK, "--out", folder / "raw")
    assert done.returncode == 0, done.stderr
    return bundle, folder / "raw"


@pytest.fixture
def collect(measured, tmp_path):
    """Collects a copy of the results after ``change`` was made to what the agent wrote."""
    bundle, raw = measured
    results = tmp_path / "raw"
    shutil.copytree(raw, results)

    def call(*words, artifact=bundle.artifact.path, change=lambda result: result):
        path = results / "result.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        given = [str(word) for word in (results, artifact, "--out", tmp_path / "runs", *words)]
        return CliRunner().invoke(command, given, catch_exceptions=True)

    call.results, call.runs = results, tmp_path / "runs"
    return call


def refused(done, kind, *said):
    assert isinstance(done.exception, kind), done.output
    for words in said:
        assert words in str(done.exception)


def on_a_pi(result):
    result["machine"] |= PI
    return result


def test_a_boards_result_becomes_the_record_that_ssh_would_have_brought(collect):
    done = collect(change=on_a_pi)
    assert done.exception is None, done.exception
    record = load_record(collect.runs / "tiny.onnx-fp32.raspberry-pi-5.json")
    assert (record.kind, record.target, record.invalid) == ("measured", "raspberry-pi-5", "")
    assert [timing.batch for timing in record.timings] == [1, 8]
    assert record.cold_start.load_ns > 0
    assert record.environment["threads"] == 1
    assert "CPUExecutionProvider" in record.executed_on
    assert record.accuracy is None


def test_what_this_machine_measured_is_no_raspberry_pi(collect):
    done = collect()
    refused(
        done,
        TargetMismatchError,
        "was not measured on target raspberry-pi-5",
        "what measured is --target cpu",
    )
    assert done.exception.exit_code == 4
    assert not collect.runs.exists()
    assert collect("--target", "cpu").exception is None
    assert load_record(collect.runs / "tiny.onnx-fp32.cpu.json").target == "cpu"


def test_another_board_is_named(collect):
    board = {"board": "Raspberry Pi 4 Model B Rev 1.5"}
    done = collect(change=lambda result: result | {"machine": on_a_pi(result)["machine"] | board})
    refused(done, TargetMismatchError, "this is Raspberry Pi 4", "what measured is --target raspberry-pi-4")


def test_a_virtual_machine_is_no_raspberry_pi(collect):
    board = {"board": "linux,dummy-virt"}
    done = collect(change=lambda result: result | {"machine": on_a_pi(result)["machine"] | board})
    refused(done, TargetMismatchError, "this is linux,dummy-virt")


def test_what_ran_elsewhere_than_on_the_cpu_is_refused(collect):
    def change(result):
        result["tasks"][0]["executed_on"] = "onnxruntime (CUDAExecutionProvider)"
        return on_a_pi(result)

    refused(collect(change=change), TargetMismatchError, "wants CPUExecutionProvider, but it ran on")


def test_times_of_a_board_that_was_held_back_are_invalid(collect):
    done = collect(change=lambda result: on_a_pi(result) | {"invalid": "the board was held back: throttled"})
    assert done.exception is None, done.exception
    assert load_record(next(collect.runs.glob("*.json"))).invalid == "the board was held back: throttled"
    assert "INVALID" in done.output


def test_another_file_of_the_same_name(collect, tmp_path):
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other", kernel=weights() * 2)
    done = collect(artifact=other.path, change=on_a_pi)
    refused(done, VerificationError, "is not the tiny.onnx that ran in")
    assert done.exception.exit_code == 3
    renamed = shutil.copy(other.path, tmp_path / "renamed.onnx")
    refused(collect(artifact=renamed), InputError, "tiny.onnx ran there as well")
    refused(collect(renamed), InputError, "renamed.onnx: did not run in")


DAMAGED = {
    "empty": dict.clear,
    "a task that says nothing": lambda result: result.update(tasks=[{}]),
    "more tasks than the job": lambda result: result.update(tasks=result["tasks"] * 2),
    "no machine": lambda result: result.update(machine={}),
    "no environment": lambda result: (on_a_pi(result), result.update(environment=None)),
    "no date": lambda result: (on_a_pi(result), result.update(started=1)),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_result_is_said_in_one_line(collect, damage):
    done = collect(change=lambda result: (damage(result), result)[1])
    assert isinstance(done.exception, InputError), repr(done.exception)
    assert not collect.runs.exists()


def test_a_run_that_did_not_finish(measured, tmp_path):
    bundle, raw = measured
    begun = shutil.copytree(raw, tmp_path / "begun")
    (begun / "result.json").unlink()
    done = CliRunner().invoke(command, [str(begun), str(bundle.artifact.path)])
    refused(done, InputError, "result.json: no such file", "leaves it when it is done")


def test_a_folder_of_results_is_used_once(measured, tmp_path):
    bundle, raw = measured
    done = bundle(*QUICK, "--out", raw)
    assert done.returncode == 2
    assert "holds another run already; choose another --out" in done.stderr
    begun = tmp_path / "begun"
    shutil.copytree(raw, begun)
    (begun / "result.json").unlink()
    cold = (begun / "pieces" / "cold-0.json").read_bytes()
    assert bundle(*QUICK, "--out", begun).returncode == 0
    assert (begun / "pieces" / "cold-0.json").read_bytes() == cold, "what is done is not done again"
    (begun / "result.json").unlink()
    assert bundle("--bench", "--min-time", "0.03", "--out", begun).returncode == 2


def test_a_run_begun_on_another_machine_does_not_go_on_here(measured, tmp_path):
    bundle, raw = measured
    begun = tmp_path / "begun"
    shutil.copytree(raw, begun)
    (begun / "result.json").unlink()
    started = json.loads((begun / "pieces" / "started.json").read_text())
    started["machine"]["board"] = "Raspberry Pi 4"
    (begun / "pieces" / "started.json").write_text(json.dumps(started))
    done = bundle(*QUICK, "--out", begun)
    assert done.returncode == 2
    assert "begun on another machine" in done.stderr


def test_a_run_begun_with_another_file_does_not_go_on(measured, tmp_path):
    bundle, raw = measured
    begun = tmp_path / "begun"
    shutil.copytree(raw, begun)
    (begun / "result.json").unlink()
    carried = bundle.folder / "artifacts" / bundle.artifact.path.name
    before = carried.read_bytes()
    try:
        carried.write_bytes(make(tmp_path, kernel=weights() * 1.01).path.read_bytes())
        done = bundle(*QUICK, "--out", begun)
    finally:
        carried.write_bytes(before)
    assert done.returncode == 2
    assert "begun with other artifacts of these names" in done.stderr


def test_the_kernels_that_ran_are_in_the_records_name(collect):
    job = collect.results / "job.json"
    job.write_text(job.read_text().replace('"onnxruntime"', '"litert-builtin"'))
    done = collect(change=on_a_pi)
    assert done.exception is None, done.exception
    assert [path.name for path in collect.runs.iterdir()] == ["tiny.onnx-fp32.raspberry-pi-5.builtin.json"]
