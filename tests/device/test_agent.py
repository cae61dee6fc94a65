"""The shipped modules on a machine that has numpy, pillow and a runtime, and nothing else."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from artifact_samples import CLASSES, make, weights
from kit import OnDevice

from edgefer.bench.measure import Plan
from edgefer.bench.runner import Job
from edgefer.bench.target import load_target
from edgefer.datasets.base import Dataset, Subset
from edgefer.device.job import PIECES, RESULT_FILE, read_job
from edgefer.device.shipping import kit
from edgefer.remote.following import follow
from edgefer.remote.packing import Package, pack, unpack
from edgefer.remote.records import records
from edgefer.spec import LabelSet

QUICK = Plan(
    min_seconds=0.02, min_iterations=3, max_warmup_seconds=0.05, window_seconds=0.005, block_seconds=0.01
)
# Imported when they are called for; threadpoolctl only if it happens to be there.
ON_DEVICE = {
    "threadpoolctl",
    "numpy",
    "PIL",
    "onnxruntime",
    "ai_edge_litert",
    "tflite_runtime",
    "coremltools",
}


def data(rows: int = 150) -> Dataset:
    """Test rows of the tiny artifact's size; its first three pixels vote for their class."""
    truth = np.arange(rows) % 3
    pixels = np.random.default_rng(1).integers(0, 60, (rows, 2, 2, 1), np.uint8)
    pixels.reshape(rows, 4)[np.arange(rows), truth] = 250
    soft = np.eye(3, dtype=np.float32)[truth]
    subset = Subset(pixels, truth.astype(np.int64), soft, np.zeros(rows, bool))
    return Dataset("pixels", LabelSet(source="abc", names=CLASSES), {"test": subset}, synthetic=True)


def packed(folder: Path, *, batches: tuple[int, ...] = (), rows: int = 150) -> Package:
    """A job for the tiny artifact, unpacked at ``folder/job``."""
    dataset = data(rows)
    job = Job(
        target=load_target("cpu"),
        plan=QUICK,
        batches=batches,
        threads=1,
        data=lambda _: dataset if rows else None,
    )
    package = pack([make(folder)], job)
    unpack(package, folder / "job")
    return package


@pytest.fixture
def device(tmp_path):
    return OnDevice(tmp_path)


def imports(path: Path) -> set[str]:
    """Modules that a file imports when it runs: not those for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("name", kit())
def test_what_a_shipped_module_imports_is_shipped_too(name):
    modules = {re.sub(r"(/__init__)?\.py$", "", each).replace("/", ".") for each in kit()}
    ours = {each for each in imports(kit()[name]) if each.partition(".")[0] == "edgefer"}
    missing = {each for each in ours if each not in modules and each.rpartition(".")[0] not in modules}
    assert not missing
    others = {each.partition(".")[0] for each in imports(kit()[name])} - {"edgefer"}
    assert others <= ON_DEVICE | sys.stdlib_module_names


def test_a_job_becomes_a_record_like_that_of_this_machine(tmp_path, device):
    package = packed(tmp_path, batches=(1, 4))
    code, lines = device.agent(tmp_path / "job")
    assert code == 0, lines
    assert lines[-1] == {"result": RESULT_FILE}
    assert "latency 4" in [line["progress"][2] for line in lines[:-1]]
    dataset = data()
    (record,) = records(package, tmp_path / "job", target="cpu", kind="measured", data=lambda _: dataset)
    assert [timing.batch for timing in record.timings] == [1, 4]
    assert record.cold_start.load_ns > 0
    assert record.peak_memory_bytes > 5e6
    assert "CPUExecutionProvider" in record.executed_on
    assert record.environment["threads"] == 1
    assert record.accuracy.full.n == 150
    assert record.accuracy.full.accuracy == 1.0
    # What else this machine does meanwhile is no concern of the test.
    assert record.invalid == "" or "others kept" in record.invalid
    assert record.run
    assert record.cold_start.warm_load_ns > 0
    assert record.environment["energy"]
    for timing in record.timings:
        assert sum(timing.blocks) == len(timing.samples_ns)
        assert {"clocks_mhz", "load", "governor"} <= set(timing.receipt.before) & set(timing.receipt.after)


def test_answers_are_those_of_the_network(tmp_path, device):
    packed(tmp_path)
    device.agent(tmp_path / "job")
    given = np.load(tmp_path / "job" / "probabilities-0.npy")
    pixels = data().split("test").pixels.reshape(150, 4).astype(np.float32)
    expected = np.exp(pixels @ weights())
    np.testing.assert_allclose(given, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_a_broken_run_goes_on_and_ends_alike(tmp_path, device):
    packed(tmp_path)
    job = tmp_path / "job"
    assert device.agent(job)[0] == 0
    whole = (job / "probabilities-0.npy").read_bytes()
    kept = job / PIECES / "rows-0-000000.npy"
    before = kept.stat().st_mtime_ns
    for name in ("rows-0-000064.npy", "rows-0.json"):
        (job / PIECES / name).unlink()
    (job / RESULT_FILE).unlink()
    (job / "probabilities-0.npy").unlink()
    assert device.agent(job)[0] == 0
    assert (job / "probabilities-0.npy").read_bytes() == whole
    assert kept.stat().st_mtime_ns == before, "what was answered is not answered again"


def test_shares_together_are_the_whole(tmp_path, device):
    packed(tmp_path)
    job = tmp_path / "job"
    for share in ("0/2", "1/2"):
        assert device.agent(job, "--share", share)[0] == 0
    pieces = {path.name: path.stat().st_mtime_ns for path in (job / PIECES).glob("*.npy")}
    assert len(pieces) == 3
    assert not (job / RESULT_FILE).exists()
    assert device.agent(job)[0] == 0
    assert {path.name: path.stat().st_mtime_ns for path in (job / PIECES).glob("*.npy")} == pieces


def test_a_file_that_answers_otherwise_is_refused_before_it_is_measured(tmp_path, device):
    artifact = make(tmp_path, kernel=weights()[:, ::-1])
    dataset = data()
    job = Job(target=load_target("cpu"), plan=QUICK, batches=(1,), data=lambda _: dataset)
    unpack(pack([artifact], job), tmp_path / "job")
    code, lines = device.agent(tmp_path / "job")
    assert code == 3
    assert "outputs differ from the backbone's" in lines[-1]["error"]["message"]
    with pytest.raises(Exception, match=r"^pi: tiny\.onnx") as caught:
        follow(map(json.dumps, lines), "pi")
    assert caught.value.exit_code == 3


def test_a_damaged_file_is_refused(tmp_path, device):
    packed(tmp_path)
    place = tmp_path / "job" / read_job(tmp_path / "job").tasks[0].artifact
    content = bytearray(place.read_bytes())
    content[content.index(b"logits")] ^= 1
    place.write_bytes(content)
    code, lines = device.agent(tmp_path / "job")
    assert code == 3
    assert "hash" in lines[-1]["error"]["message"]


def test_no_job_is_said_so(tmp_path, device):
    code, lines = device.agent(tmp_path / "none")
    assert code == 2
    assert lines[-1]["error"]["message"].endswith("job.json: no such file")
