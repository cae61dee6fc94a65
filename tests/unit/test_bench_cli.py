from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from bench_fakes import NullSession, artifact, baseline, dataset, runtime

from edgefer.cli import main as entry


@pytest.fixture
def bench(monkeypatch, capsys, tmp_path):
    """Run ``edgefer bench`` on null artifacts; returns exit code, standard output and standard error."""
    data = dataset(wrong=3)
    monkeypatch.setattr("edgefer.artifact.open_artifact", lambda path: _named(path, baseline(data)))
    monkeypatch.setattr("edgefer.bench.runner.discover", lambda *_: _as_litert())
    answer = subprocess.CompletedProcess([], 0, '{"load_ns": 5, "first_ns": 7, "peak_memory_bytes": 9}', "")
    monkeypatch.setattr("edgefer.bench.cold.subprocess.run", lambda *_, **__: answer)
    monkeypatch.setattr("edgefer.datasets.loading.load", lambda *_, **__: data)
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr("sys.argv", ["edgefer", "bench", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            entry.main()
        return done.value.code, *capsys.readouterr()

    return call


def _named(path, base):
    return replace(artifact(path.stem, baseline=base), path=path, container=path.suffix[1:])


def _as_litert():
    class Session(NullSession):
        executed_on = "null (CPU)"

    return {"litert": replace(runtime(Session)["null"], id="null")}


QUICK = ("--batch", "1,4", "--min-time", "0.01")


def test_tables_and_records(bench, tmp_path):
    code, out, err = bench("a.tflite", "b.tflite", "--data", tmp_path, *QUICK)
    assert code == 0, err
    assert "Latency on cpu" in out
    assert "SYNTHETIC" in out
    assert "30 test rows" in out
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["a.tflite-int8.cpu.json", "b.tflite-int8.cpu.json"]


def test_json(bench, tmp_path):
    code, out, _ = bench(
        "a.tflite", "--data", tmp_path, "--accuracy-only", "--json", "--out", tmp_path / "here"
    )
    (found,) = json.loads(out)
    assert code == 0
    assert found["accuracy"]["f1_drop"] == pytest.approx(10, abs=1)
    assert found["latency"] == []
    assert (tmp_path / "here" / "a.tflite-int8.cpu.json").exists()


def test_without_data_that_is_said(bench):
    code, out, err = bench("a.tflite", *QUICK)
    assert code == 0
    assert "no data given: accuracy not measured" in err
    assert "Accuracy" not in out


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("a.tflite", "--accuracy-only"), 2, "no data is given"),
        (("a.tflite", "--accuracy-only", "--batch", "1"), 2, "--batch has no meaning"),
        (("a.tflite", "--remote-python", "py"), 2, "no --host is given, so --remote-python has no meaning"),
        (("a.tflite", "--no-remote-cache"), 2, "no --host is given, so --remote-cache has no meaning"),
        (
            ("a.onnx", "--kernels", "builtin"),
            2,
            "none of the files is a TFLite one, so --kernels has no meaning",
        ),
        (("a.tflite", "--batch", "1,x"), 2, "'1,x' is no list of batch sizes"),
        (("a.tflite", "--batch", "0"), 2, "'0' is no list of batch sizes"),
        (("a.tflite", "x/a.tflite"), 2, "would be another artifact's too"),
        (("a.tflite", "--target", "cpuu"), 2, "did you mean 'cpu'?"),
        (("a.tflite", "--target", "raspberry-pi-4"), 4, "it needs to run on a Raspberry Pi 4 itself"),
        (("a.tflite", "--target", "raspberry-pi-5"), 4, "it needs to run on a Raspberry Pi 5 itself"),
        (
            ("a.tflite", "--target", "coreml"),
            4,
            "it needs macOS 14 or newer on Apple silicon with coremltools",
        ),
        (("a.tflite", "--target", "cuda"), 4, "it needs an NVIDIA GPU and onnxruntime-gpu"),
    ],
)
def test_one_clear_line_and_nothing_written(bench, monkeypatch, tmp_path, words, code, line):
    monkeypatch.setattr("edgefer.bench.machine.platform.system", lambda: "Plan9")
    monkeypatch.setattr("edgefer.bench.target._providers", lambda: ())
    found, out, err = bench(*words)
    assert found == code
    assert out == ""
    assert line in err
    assert err.count("edgefer: error:") == 1
    assert not (tmp_path / "runs").exists()


def test_a_failed_run_leaves_the_old_record(bench, monkeypatch, tmp_path):
    bench("a.tflite", *QUICK)
    record = tmp_path / "runs" / "a.tflite-int8.cpu.json"
    before = record.read_bytes()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgefer.bench.runner.run", fail)
    code, _, err = bench("a.tflite", *QUICK)
    assert code == 2
    assert "interrupted" in err
    assert record.read_bytes() == before
