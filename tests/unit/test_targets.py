from __future__ import annotations

import json
import platform
import tomllib

import pytest

from edgefer.bench import machine as facts_of
from edgefer.bench import target as module
from edgefer.bench.target import (
    availability,
    folder,
    for_accuracy,
    load_target,
    missing_runtime,
    read_target,
    require,
    targets,
)
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.registry import discover
from edgefer.runtimes.base import Runtime

FILES = sorted(folder().glob("*.toml"))


def machine(monkeypatch, system, processor, *, board="", macos=""):
    """Pretend to be another machine."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), ""))
    monkeypatch.setattr(facts_of, "board", lambda: board)


def write(tmp_path, **changes):
    """The cpu target with changed keys, as a file."""
    content = tomllib.loads((folder() / "cpu.toml").read_text()) | {"id": "mine"} | changes
    path = tmp_path / "mine.toml"
    path.write_text(_toml(content))
    return path


def _toml(content):
    """Just enough TOML for these tests: plain keys first, then one level of tables."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for key, table in content.items():
        if isinstance(table, dict):
            plain += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    return "\n".join(plain)


def test_the_five_targets_are_there():
    assert set(targets()) == {"coreml", "cpu", "cuda", "raspberry-pi-4", "raspberry-pi-5"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_target_file_loads_and_says_what_it_is(path):
    target = read_target(path)
    assert target.title
    assert target.device
    assert set(target.executed_on) == set(target.runtimes), "what must run is stated for every container"
    plan = target.measure.plan()
    assert plan.min_seconds >= 1, "shorter measurements are at the mercy of the scheduler"
    assert plan.min_iterations >= 30, "fewer samples tell nothing of the p90"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_runtime_of_a_target_runs_the_container_it_is_named_for(path):
    runtimes = discover("edgefer.runtimes", "RUNTIMES")
    target = read_target(path)
    for container, wanted in (*target.runtimes.items(), *target.stand_ins.items()):
        assert runtimes[wanted].container == container
    assert not any(runtimes[wanted].stands_in for wanted in target.runtimes.values())
    assert all(runtimes[wanted].stands_in for wanted in target.stand_ins.values())


def test_this_machine_is_the_cpu_target():
    assert availability(load_target("cpu")) == ""
    require(load_target("cpu"))


def test_coreml_on_linux(monkeypatch):
    machine(monkeypatch, "Linux", "x86_64")
    with pytest.raises(TargetUnavailableError) as caught:
        require(load_target("coreml"))
    assert str(caught.value) == (
        "target coreml is not available here: "
        "it needs macOS 14 or newer on Apple silicon with coremltools; this is Linux x86_64; "
        "--accuracy-only scores its files here, --host user@mac measures them there"
    )
    assert caught.value.exit_code == 4


def test_coreml_on_a_mac(monkeypatch):
    machine(monkeypatch, "Darwin", "arm64", macos="13.6")
    assert availability(load_target("coreml")).endswith("; this is macOS 13.6")
    machine(monkeypatch, "Darwin", "x86_64", macos="14.1")
    assert availability(load_target("coreml")).endswith("; this is Darwin x86_64")
    machine(monkeypatch, "Darwin", "arm64", macos="15.0")
    monkeypatch.setattr(facts_of, "packages", dict)
    assert availability(load_target("coreml")).endswith("; coremltools is not installed")
    monkeypatch.setattr(facts_of, "packages", lambda: {"coremltools": "9.0"})
    assert availability(load_target("coreml")) == ""


@pytest.mark.parametrize("number", [4, 5])
def test_raspberry_pi(monkeypatch, number):
    target = load_target(f"raspberry-pi-{number}")
    machine(monkeypatch, "Linux", "aarch64", board=f"Raspberry Pi {number} Model B Rev 1.0")
    assert availability(target) == ""
    machine(monkeypatch, "Linux", "aarch64", board="Raspberry Pi 3 Model B Plus Rev 1.3")
    assert availability(target).endswith("; this is Raspberry Pi 3 Model B Plus Rev 1.3")
    machine(monkeypatch, "Linux", "armv7l", board=f"Raspberry Pi {number} Model B")
    assert availability(target).endswith("; this is Linux armv7l")


def test_accuracy_comes_from_a_stand_in_only_where_the_target_is_missing(monkeypatch):
    target = load_target("coreml")
    machine(monkeypatch, "Linux", "x86_64")
    assert for_accuracy(target).runtimes == {"coreml": "coreml-reference"}
    require(for_accuracy(target))
    machine(monkeypatch, "Darwin", "arm64", macos="15.0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert for_accuracy(target) is target
    other = load_target("raspberry-pi-5")
    machine(monkeypatch, "Linux", "x86_64")
    assert for_accuracy(other) is other, "another processor does not compute what it would"


@pytest.mark.parametrize("number", [4, 5])
def test_any_arm_linux_tells_a_raspberry_pis_accuracy(monkeypatch, number):
    target = load_target(f"raspberry-pi-{number}")
    machine(monkeypatch, "Linux", "aarch64", board="linux,dummy-virt")
    assert availability(target).endswith("; this is linux,dummy-virt")
    stood_in = for_accuracy(target)
    require(stood_in)
    assert stood_in.elsewhere
    assert stood_in.runtimes == target.runtimes
    machine(monkeypatch, "Linux", "aarch64", board=f"Raspberry Pi {number} Model B Rev 1.0")
    assert for_accuracy(target) is target


def test_a_file_does_not_say_that_its_target_is_elsewhere(tmp_path):
    path = tmp_path / "cpu.toml"
    path.write_text("elsewhere = true\n" + (folder() / "cpu.toml").read_text())
    with pytest.raises(InputError, match="elsewhere is no setting"):
        read_target(path)


def test_the_board_is_read_from_the_device_tree(monkeypatch, tmp_path):
    monkeypatch.setattr(facts_of, "BOARD_FILE", tmp_path / "model")
    assert facts_of.board() == ""
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert facts_of.board() == "Raspberry Pi 5 Model B Rev 1.0"


def test_cuda_needs_the_provider_and_the_driver(monkeypatch, tmp_path):
    target = load_target("cuda")
    monkeypatch.setattr(module, "_providers", lambda: ("CPUExecutionProvider",))
    assert availability(target).endswith("; the providers here are: CPUExecutionProvider")
    monkeypatch.setattr(module, "_providers", lambda: ())
    assert availability(target).endswith("; the providers here are: none, without onnxruntime")
    monkeypatch.setattr(module, "_providers", lambda: ("CUDAExecutionProvider", "CPUExecutionProvider"))
    monkeypatch.setattr(facts_of, "NVIDIA_DRIVER", tmp_path / "version")
    assert availability(target).endswith("; no NVIDIA driver is loaded")
    (tmp_path / "version").write_text("NVRM version")
    assert availability(target) == ""


def test_another_machines_provider_is_known_by_its_package(monkeypatch):
    monkeypatch.setattr(module, "_providers", lambda: ("CPUExecutionProvider",))
    linux = {"system": "Linux", "machine": "x86_64", "board": "", "macos": "", "nvidia": True}
    there = {**linux, "packages": {"onnxruntime-gpu": "1.31.1"}}
    assert availability(load_target("cuda"), there) == ""
    assert availability(load_target("cuda"), {**there, "nvidia": False}).endswith(
        "no NVIDIA driver is loaded"
    )
    assert availability(load_target("cuda"), {**there, "packages": {}}).endswith(
        "; onnxruntime-gpu is not installed"
    )


def test_a_mistyped_target_is_answered_with_a_suggestion():
    with pytest.raises(InputError, match="unknown target 'raspberry-pi5'; did you mean 'raspberry-pi-5'"):
        load_target("raspberry-pi5")


def test_a_missing_runtime_is_named():
    target = load_target("cpu")
    broken = {"litert": Runtime("litert", "tflite", lambda: "needs ai-edge-litert", None)}
    assert missing_runtime(target, "tflite", broken) == "needs ai-edge-litert"
    assert missing_runtime(target, "onnx", broken) == "needs a runtime onnxruntime, which edgefer lacks"


def test_what_a_target_takes():
    target = load_target("cpu")
    assert target.formats == ("onnx-*", "tflite-*")
    assert target.takes("tflite-int8")
    assert not target.takes("coreml-fp16")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batchez": [1]}, "unknown field `batchez`"),
        ({"measure": {"min_second": 1.0}}, "unknown field `min_second`"),
        ({"measure": {"min_seconds": 0.0}}, "times must be positive"),
        ({"measure": {"min_iterations": 0}}, "min_iterations at least 1"),
        ({"batches": []}, "at least one"),
        ({"batches": [0]}, "positive numbers"),
        ({"batches": ["1"]}, "Expected `int`"),
        ({"runtimes": {}}, "at least one container"),
        ({"stand_ins": {"coreml": "coreml-reference"}}, "may only map containers that runtimes maps"),
        ({"needs": {"system": "Linux"}}, "must say in `what`"),
        ({"id": "other"}, "is not the file's name"),
    ],
)
def test_a_wrong_target_file_is_one_clear_line(tmp_path, changes, words):
    with pytest.raises(InputError) as caught:
        read_target(write(tmp_path, **changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_toml(tmp_path):
    with pytest.raises(InputError, match="no such target file"):
        read_target(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("id = ")
    with pytest.raises(InputError, match="not a target"):
        read_target(tmp_path / "bad.toml")


def test_what_else_can_be_done_for_a_board_is_named(monkeypatch):
    machine(monkeypatch, "Linux", "x86_64")
    with pytest.raises(TargetUnavailableError) as caught:
        require(load_target("raspberry-pi-5"))
    assert (
        caught.value.hint
        == "--emulate runs its files on an emulated processor, --host user@board measures them there"
    )
