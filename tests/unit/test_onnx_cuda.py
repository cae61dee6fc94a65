"""ONNX Runtime on cards, as far as a machine without one can tell: IO binding, profiles, refusals."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

from edgefer.artifact import open_artifact
from edgefer.bench.beside import require_beside
from edgefer.bench.target import load_target, with_installed_variants
from edgefer.bench.variants import fallen_to_cpu
from edgefer.errors import EdgeferError, InputError, TargetMismatchError, TargetUnavailableError
from edgefer.registry import discover
from edgefer.runtimes import nvidia
from edgefer.runtimes.base import Runtime
from edgefer.runtimes.onnx import CPU, OnnxSession
from edgefer.runtimes.onnx_cuda import (
    CUDA,
    RUNTIMES,
    BoundSession,
    Setting,
    card,
    missing,
    placement,
    profile,
)
from edgefer.runtimes.onnx_probe import identity, loads
from edgefer.runtimes.onnx_profile import read
from tests.unit.artifact_samples import PIXELS, make

SAMPLE = Path(__file__).parent / "samples" / "onnx-cuda-profile.json"
ON_CPU = Setting(((CPU, {}),), device="cpu")


@pytest.fixture
def tiny(tmp_path):
    return make(tmp_path)


@pytest.mark.parametrize(
    "setting", [ON_CPU, dataclasses.replace(ON_CPU, copies=True)], ids=["bound", "copies"]
)
def test_a_bound_session_answers_as_a_plain_one_at_every_batch_size(tiny, setting):
    bound, plain = BoundSession(setting, tiny, 1), OnnxSession(tiny, 1)
    for pixels in (PIXELS[:1], PIXELS, PIXELS[:1]):
        expected = plain.decode(plain.run(plain.prepare(pixels)))
        found = bound.decode(bound.run(bound.prepare(pixels)))
        np.testing.assert_array_equal(found, expected)


def test_two_feeds_of_a_bound_session_keep_apart(tiny):
    session = BoundSession(ON_CPU, tiny, 1)
    first, second = session.prepare(PIXELS[:1]), session.prepare(PIXELS[1:2])
    session.run(second)
    answer = session.decode(session.run(first))
    assert answer.argmax() == 0
    assert session.decode(second.answer).argmax() == 1


def test_profile_of_a_bound_setting_says_where_each_node_ran(tiny):
    found = profile(ON_CPU, tiny, 1, PIXELS, 6)
    assert {op.where for op in found.ops} == {CPU}
    assert placement(tiny, CPU, found) == {"nodes": {CPU: len(found.ops)}, "on_cpu": []}


def test_a_session_that_fell_back_as_a_whole_is_a_mismatch(tiny):
    with pytest.raises(TargetMismatchError, match="no node ran on CUDAExecutionProvider") as caught:
        placement(tiny, CUDA, profile(ON_CPU, tiny, 1, PIXELS, 2))
    assert caught.value.exit_code == 4


def test_nodes_on_the_cpu_are_named_in_a_profile_of_a_card(tiny):
    found = read(json.loads(SAMPLE.read_text()), 1)
    told = placement(tiny, CUDA, found)
    assert told == {"nodes": {CUDA: 2, CPU: 1}, "on_cpu": ["shape (Shape)"]}
    assert list(fallen_to_cpu({"": told, "tf32": {"on_cpu": []}})) == [
        "1 nodes ran on the CPU: shape (Shape)"
    ]
    assert [(op.kind, op.ns) for op in found.ops] == [("Conv", 9e3), ("Shape", 3e3), ("Gemm", 5e3)]
    assert found.whole_ns == 30e3


def test_a_profile_with_too_few_runs_is_refused():
    with pytest.raises(EdgeferError, match="holds 1 of 2 runs"):
        read(json.loads(SAMPLE.read_text()), 2)


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.id)
def test_each_setting_says_here_what_it_needs(runtime, tiny):
    assert "ExecutionProvider" in runtime.missing()
    with pytest.raises(TargetUnavailableError, match="onnxruntime-gpu"):
        runtime.open(tiny, 1)


def test_the_runtimes_of_the_target_exist():
    runtimes = discover("edgefer.runtimes", "RUNTIMES")
    target = load_target("cuda")
    assert {target.runtimes["onnx"], *target.options.variants.values()} <= runtimes.keys()


def test_variants_that_are_not_installed_are_left_out_and_named():
    target = load_target("cuda")
    ids = [target.runtimes["onnx"], *target.options.variants.values()]
    lacking = {one: "needs TensorRT" if "tensorrt" in one else "" for one in ids}
    runtimes = {
        one: Runtime(one, "onnx", lambda lack=lack: lack, BoundSession) for one, lack in lacking.items()
    }
    kept, left_out = with_installed_variants(target, runtimes)
    assert list(kept.options.variants) == ["tf32", "graph", "copies"]
    assert left_out == tuple(
        f"{name} not measured: it needs TensorRT" for name in ("tensorrt", "tensorrt-fp16")
    )


def test_int8_is_refused_without_float_files_of_the_same_network_beside_it(tmp_path):
    def file(form):
        folder = tmp_path / form
        folder.mkdir(exist_ok=True)
        return make(folder, form=form)

    fp32, fp16, int8 = (open_artifact(file(form).path) for form in ("onnx-fp32", "onnx-fp16", "onnx-int8"))
    cuda = load_target("cuda")
    with pytest.raises(InputError, match="only beside onnx-fp16 and onnx-fp32 of the same network"):
        require_beside([int8], cuda)
    with pytest.raises(InputError, match="only beside onnx-fp16"):
        require_beside([int8, fp32], cuda)
    require_beside([int8, fp32, fp16], cuda)
    require_beside([int8], load_target("cpu"))
    other = msgspec.structs.replace(fp32.manifest, backbone_sha256="1" * 64)
    with pytest.raises(InputError, match="onnx-fp32"):
        require_beside([fp16, dataclasses.replace(fp32, manifest=other)], cuda)


def test_the_card_is_what_nvidias_tool_says(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ntest "$1" = --id=0000:3B:00.0 && echo "NVIDIA T4, 550.54.15, 70.00 W"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(nvidia, "DRIVER", driver(tmp_path, "0000:3B:00.0"))
    assert card() == {"card": "NVIDIA T4", "driver": "550.54.15", "power_limit": "70.00 W"}
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert card() == {}


def driver(folder, bus):
    """A library that does what CUDA's driver does when it is asked for the first device's bus id."""
    source, library = folder / "driver.c", folder / "libcuda.so"
    source.write_text(
        "#include <string.h>\n"
        "int cuInit(unsigned flags) { return 0; }\n"
        "int cuDeviceGet(int *device, int number) { *device = 7; return number; }\n"
        "int cuDeviceGetPCIBusId(char *name, int room, int device) {\n"
        f'  strncpy(name, "{bus}", room); return device != 7; }}\n'
    )
    if not (compiler := shutil.which("cc")):
        pytest.skip("no C compiler is installed")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def test_where_the_driver_is_missing_no_card_is_named(monkeypatch):
    monkeypatch.setattr(nvidia, "DRIVER", "libcuda-that-is-not-there.so")
    assert card() == {}


def test_what_is_missing_names_tensorrt():
    assert "TensorRT's libraries" in missing(Setting((("TensorrtExecutionProvider", {}),)))


def test_tensorrt_without_its_libraries_is_missing_though_it_is_built_in(monkeypatch):
    built_in = ["TensorrtExecutionProvider", "CUDAExecutionProvider", CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built_in)
    kept, left_out = with_installed_variants(load_target("cuda"), discover("edgefer.runtimes", "RUNTIMES"))
    assert list(kept.options.variants) == ["tf32", "graph", "copies"]
    assert [sentence.partition(" ")[0] for sentence in left_out] == ["tensorrt", "tensorrt-fp16"]


def test_a_provider_loads_where_its_session_has_it():
    assert loads(CPU)
    onnx.checker.check_model(onnx.load_model_from_string(identity()))
