"""Core ML's runtime as far as it goes without a Mac: coremltools' own classes, with Core ML itself stood in for."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from artifact_samples import CLASSES, PIXELS, answers, make, make_package, weights

from edgefer.artifact import Artifact
from edgefer.bench.latency import latency
from edgefer.bench.record import BatchTiming, load_record
from edgefer.bench.runner import Job
from edgefer.bench.target import load_target
from edgefer.bench.variants import faster_on_cpu
from edgefer.errors import InputError
from edgefer.remote.packing import pack
from edgefer.runtimes import coreml
from edgefer.runtimes.base import Runtime, Session, predict
from edgefer.runtimes.mil_reference import MilSession
from edgefer.verification import verify


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """The package as a model of arrays, for one image or three."""
    return make_package(tmp_path_factory.mktemp("arrays"), batches=(1, 3))


class Model:
    """``coremltools.models.MLModel`` on a Mac: the same calls, answered by the reference executor."""

    loaded: ClassVar[list[tuple[str, object]]] = []
    calls: ClassVar[list[int]] = []
    refuses = ""

    def __init__(self, path: str, compute_units: object) -> None:
        self.loaded.append((path, compute_units))
        self.compute_unit, self._framework_error = compute_units, self.refuses or None
        self._session = MilSession(Model.artifact, 1)

    def get_compiled_model_path(self) -> str:
        if self.refuses:
            raise Exception("This model was not loaded or compiled with the Core ML Framework.")
        return "/tmp/tiny.mlmodelc"

    def predict(self, rows: list[dict[str, object]] | dict[str, object]) -> object:
        if isinstance(rows, dict):
            self.calls.append(len(rows["image"]))
            return {"probabilities": self._session.run(rows)}
        pixels = np.stack([np.asarray(row["image"])[..., None] for row in rows])
        odds = self._session.run(self._session.prepare(pixels))
        named = [dict(zip(reversed(CLASSES), map(float, row[::-1]), strict=True)) for row in odds]
        return [{"classLabel": max(row, key=row.get), "classLabel_probs": row} for row in named]


@pytest.fixture
def mac(monkeypatch, package) -> Iterator[type[Model]]:
    """A Mac, as far as coremltools' Python goes."""
    import coremltools as ct

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    monkeypatch.setattr(ct.models, "MLModel", Model)
    monkeypatch.setattr(Model, "artifact", package, raising=False)
    monkeypatch.setattr(Model, "loaded", [])
    monkeypatch.setattr(Model, "calls", [])
    return Model


@dataclass
class Loaded:
    """An artifact that is about to be timed."""

    artifact: Artifact
    runtime: Runtime
    session: Session
    notes: list[str] = field(default_factory=list)


def runtime(name):
    return next(each for each in coreml.RUNTIMES if each.id == name)


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("coreml", "ALL"),
        ("coreml-cpu-ne", "CPU_AND_NE"),
        ("coreml-cpu-gpu", "CPU_AND_GPU"),
        ("coreml-cpu", "CPU_ONLY"),
    ],
)
def test_a_session_answers_in_label_order_on_the_units_asked_for(mac, package, name, units):
    session = runtime(name).open(package, 1)
    np.testing.assert_allclose(predict(session, PIXELS), answers(weights()), atol=1e-6)
    assert mac.loaded[0][1].name == units
    assert session.executed_on == f"Core ML (macOS 15.1, {units})"


@pytest.fixture
def arrays(mac, monkeypatch, listed):
    """What a Mac loads is the package of arrays."""
    monkeypatch.setattr(mac, "artifact", listed)
    return listed


def test_a_listed_batch_is_one_call_and_any_other_several(mac, arrays):
    session = runtime("coreml").open(arrays, 1)
    np.testing.assert_allclose(predict(session, PIXELS[:3]), answers(weights())[:3], atol=1e-6)
    assert mac.calls == [3]
    np.testing.assert_allclose(predict(session, PIXELS), answers(weights()), atol=1e-6)
    assert mac.calls == [3, 3, 1]


def test_only_listed_batches_are_timed(mac, arrays):
    chosen = runtime("coreml")
    loaded = Loaded(arrays, chosen, chosen.open(arrays, 1))
    plan = load_target("coreml").measure.plan(0.01)
    [(_, timed)] = latency([loaded], 3, plan, lambda _: None)
    assert set(mac.calls) == {3}
    assert len(timed.samples_ns) >= plan.min_iterations
    assert latency([loaded], 8, plan, lambda _: None) == []
    assert loaded.notes == ["batch 8 not run: the file is fixed to batch 1, 3"]


def test_the_reference_executor_takes_arrays_of_any_number(listed):
    verified = verify(listed.path)
    assert (verified.status, verified.executed_on) == ("passed", "reference executor (float32)")


def test_a_package_that_core_ml_refuses(mac, package, monkeypatch):
    monkeypatch.setattr(mac, "refuses", "unable to build an execution plan")
    with pytest.raises(
        InputError, match=r"Core ML does not load the package \(unable to build an execution plan\)"
    ):
        runtime("coreml").open(package, 1)


def test_away_from_a_mac_nothing_is_loaded(package):
    assert runtime("coreml").missing() == "needs macOS"
    with pytest.raises(Exception, match="needs macOS"):
        runtime("coreml").open(package, 1)


class MLCPUComputeDevice:
    pass


class MLNeuralEngineComputeDevice:
    pass


class Plan:
    """An ``MLComputePlan`` of a constant, a convolution and a softmax."""

    def __init__(self) -> None:
        from coremltools.models import compute_plan as ct

        def operation(name, operator):
            output = ct.MLModelStructureProgramNamedValueType(name, ct.MLModelStructureProgramValueType())
            return ct.MLModelStructureProgramOperation({}, operator, [output], [], None)

        names = (("w", "const"), ("c", "conv"), ("p", "softmax"))
        block = ct.MLModelStructureProgramBlock([], [operation(*each) for each in names], ["p"])
        program = ct.MLModelStructureProgram({"main": ct.MLModelStructureProgramFunction([], block)})
        self.model_structure = ct.MLModelStructure(None, program, None)
        cpu, engine = MLCPUComputeDevice(), MLNeuralEngineComputeDevice()
        self.usage = {
            "conv": ct.MLComputePlanDeviceUsage(engine, [engine, cpu]),
            "softmax": ct.MLComputePlanDeviceUsage(cpu, [cpu]),
        }
        self.cost = {"conv": ct.MLComputePlanCost(0.9)}

    def get_compute_device_usage_for_mlprogram_operation(self, operation):
        return self.usage.get(operation.operator_name)

    def get_estimated_cost_for_mlprogram_operation(self, operation):
        return self.cost.get(operation.operator_name)


def test_the_compute_plan_says_what_runs_where():
    described = coreml.describe_plan(Plan())
    assert described["operations"] == [
        {
            "name": "c",
            "operator": "conv",
            "on": "Neural Engine",
            "could": ["CPU", "Neural Engine"],
            "cost": 0.9,
        },
        {"name": "p", "operator": "softmax", "on": "CPU", "could": ["CPU"], "cost": None},
    ]
    assert described["on"] == {
        "Neural Engine": {"operations": 1, "cost": 0.9},
        "CPU": {"operations": 1, "cost": 0.0},
    }


def test_a_compute_plan_that_is_not_told_is_said_so(mac, package, monkeypatch):
    from coremltools.models.compute_plan import MLComputePlan

    assert "supported" in runtime("coreml").explain(package)["no_compute_plan"]
    monkeypatch.setattr(MLComputePlan, "load_from_path", lambda **_: Plan())
    assert runtime("coreml-cpu-ne").explain(package)["compute_plan"]["on"]["CPU"]["operations"] == 1
    assert [units.name for _, units in mac.loaded] == ["ALL", "CPU_AND_NE"]


def test_every_choice_of_units_is_timed_in_one_job_and_the_first_one_scored(package):
    target = load_target("coreml")
    job = pack([package], Job(target=target, plan=target.measure.plan(), batches=target.batches)).job
    assert [(task.variant, task.runtime) for task in job.tasks] == [
        ("", "coreml"), ("cpu+ne", "coreml-cpu-ne"), ("cpu+gpu", "coreml-cpu-gpu"), ("cpu", "coreml-cpu"),
    ]  # fmt: skip
    only = pack([package], Job(target=target, plan=target.measure.plan())).job
    assert [task.runtime for task in only.tasks] == ["coreml"]


def at(batch, milliseconds, seed=0):
    """Twelve rounds of five samples, each round some 3 % off."""
    rounds = milliseconds * np.exp(np.random.default_rng(seed).normal(0, 0.03, 12))
    samples = tuple(int(1e6 * value) for value in np.repeat(rounds, 5))
    return BatchTiming(batch=batch, warmup_ns=(), samples_ns=samples, blocks=(5,) * 12)


def test_it_is_said_where_the_cpu_alone_is_faster():
    times = {
        "": [at(1, 0.20, 1), at(8, 0.9, 2)],
        "cpu+ne": [at(1, 0.19, 3), at(8, 0.8, 4)],
        "cpu": [at(1, 0.12, 5), at(8, 0.795, 6)],
    }
    [said] = faster_on_cpu(times)
    assert said.startswith("batch 1: the CPU alone is faster than with the Neural Engine, 0.1")
    assert list(faster_on_cpu({"": [at(1, 0.2)]})) == []


def bench(sshd, package, out, *words):
    start = (sys.executable, "-m", "edgefer", "bench", package.path, "--target", "coreml", "--host", "device")
    rest = ("--remote-python", sys.executable, "--out", out)
    around = {key: value for key, value in sshd.environment.items() if key != "EDGEFER_DATA"}
    command = [str(word) for word in (*start, *rest, *words)]
    return subprocess.run(command, env=around, capture_output=True, text=True, timeout=60)


def test_a_linux_host_scores_it_with_the_reference_executor_and_says_so(sshd, package, faces, tmp_path):
    done = bench(sshd, package, tmp_path, "--accuracy-only", "--data", faces, "--labels", "folder")
    assert done.returncode == 0, done.stderr
    record = load_record(tmp_path / "device" / "tiny.coreml-fp32.coreml.json")
    assert record.kind == "emulated"
    assert record.executed_on.startswith("reference executor")
    assert record.timings == ()
    assert record.accuracy.full.accuracy == 1.0
    assert sshd.left() == []


def test_a_linux_host_does_not_time_it(sshd, package, tmp_path):
    done = bench(sshd, package, tmp_path / "runs")
    assert done.returncode == 4
    assert "device: target coreml is not there: it needs macOS 14 or newer" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_target_with_variants_runs_the_agent_here(tmp_path):
    """Core ML's way through the command on a Mac, with runtimes that this machine has."""
    from msgspec.structs import replace

    from edgefer.bench.target import Options
    from edgefer.remote.here import bench_here

    artifact = make(tmp_path)
    target = replace(load_target("cpu"), options=Options(threads=1, variants={"cpu": "onnxruntime"}))
    (record,) = bench_here(
        [artifact], Job(target=target, plan=target.measure.plan(0.02), batches=(1,)), lambda *_: None
    )
    assert [variant.name for variant in record.variants] == ["cpu"]
    assert record.variants[0].timings[0].batch == 1
    assert record.variants[0].cold_start.load_ns > 0
