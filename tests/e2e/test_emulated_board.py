"""The real aarch64 runtime under QEMU beside this machine: set up from nothing, or skipped with the reason."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefer.bench.record import RunRecord, load_record
from edgefer.bench.target import load_target
from edgefer.emulation.board import booted
from edgefer.emulation.sites import SITES
from tests.e2e.conftest import edgefer

BOARDS = ("raspberry-pi-4", "raspberry-pi-5")
ROWS = 32
# XNNPACK's Arm and x86 kernels round sums in another order; of thousands of rows none was further apart than this.
STEPS = 1


@pytest.fixture(scope="module")
def emulator(data_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``setup`` said; exit 4 (no QEMU, gcc, apt or network here) skips the tests.

    xdist's workers, each with a cache of its own, share one emulator, which the first of them builds.
    """
    shared = data_cache
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = tmp_path_factory.getbasetemp().parent / "emulator"
        shared.mkdir(exist_ok=True)
        (data_cache / "emulator").symlink_to(shared, target_is_directory=True)
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = edgefer("emulator", "setup", "--runtime", "ai-edge-litert")
    if ran.code == 4:
        pytest.skip(ran.error_line)
    assert ran.code == 0, ran.err
    return ran.out


def emulate(int8: Path, board: str, out: Path) -> RunRecord:
    options = ("--target", board, "--emulate", "--rows", ROWS, "--data", "synthetic", "--out", out)
    ran = edgefer("bench", int8, *options)
    assert ran.code == 0, ran.err
    return load_record(out / f"{int8.stem}.tflite-int8.{board}.emulated.json")


@pytest.fixture(scope="module")
def taken(emulator: str, artifacts: dict[str, Path], tmp_path_factory) -> dict[str, RunRecord]:
    """One record a board."""
    del emulator
    out = tmp_path_factory.mktemp("emulated")
    return {board: emulate(artifacts["tflite-int8"], board, out) for board in BOARDS}


def test_a_second_set_up_builds_nothing(emulator):
    assert "debian" in emulator
    again = edgefer("emulator", "setup", "--runtime", "ai-edge-litert", "--json")
    assert [piece["seconds"] for piece in again.json] == [0.0] * 3


@pytest.mark.parametrize("board", BOARDS)
def test_the_board_answers_as_this_machine_does(taken, board):
    parity = taken[board].parity
    assert parity.rows == ROWS
    assert parity.max_steps <= STEPS
    assert parity.top1_agreement == 1.0
    assert abs(parity.f1_points) <= 0.1
    assert "XNNPACK" in parity.here


@pytest.mark.parametrize("board", BOARDS)
def test_the_record_cannot_be_taken_for_a_measured_one(taken, board):
    record = taken[board]
    assert record.kind == "emulated"
    assert not record.timings
    assert record.kernels == "XNNPACK"
    assert "QEMU" in record.executed_on
    assert record.environment["machine"] == "aarch64"
    assert record.environment["threads"] == 1
    assert record.environment["packages"]["ai-edge-litert"] == "2.3.0"


def test_only_the_newer_board_has_dot_products_and_needs_fewer_instructions(taken):
    old, new = (taken[board].instructions for board in BOARDS)
    assert old.dot_share == 0
    assert new.dot_share > 0.1
    assert new.per_inference < old.per_inference


@pytest.mark.parametrize("board", BOARDS)
def test_instructions_are_the_same_every_time(taken, board):
    counts = taken[board].instructions.counts
    # A page fault or a grown free list costs the allocator some hundred instructions now and then.
    assert max(counts) - min(counts) <= max(1000, 0.0005 * max(counts))


def test_another_run_counts_the_same(taken, artifacts, tmp_path):
    again = edgefer(
        "bench", artifacts["tflite-int8"], "--target", BOARDS[1], "--emulate", "--out", tmp_path, "--json",
        env=without_data(),
    )  # fmt: skip
    assert again.code == 0, again.err
    (found,) = again.json
    first, second = taken[BOARDS[1]].instructions.counts, found["instructions"]["counts"]
    assert min(second) == pytest.approx(min(first), rel=0.001)
    assert found["parity"] is None
    assert found["latency"] == []


def without_data() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "EDGEFER_DATA"}


@pytest.mark.usefixtures("emulator")
def test_a_bundle_proves_itself_on_a_board_that_has_the_runtime_only(artifacts, tmp_path):
    bundle = tmp_path / "bundle"
    ran = edgefer("bundle", artifacts["tflite-int8"], "--out", bundle)
    assert ran.code == 0, ran.err
    with booted(load_target(BOARDS[0]).emulation, SITES["ai-edge-litert"], processes=1) as board:
        bare = replace(board.guest, packages=board.guest.packages[-1:])
        command = bare.command(bundle / "run_on_device.py", "--golden", "--json")
        said = subprocess.run(command, env=bare.environment, capture_output=True, text=True, timeout=120)
    (proof,) = json.loads(said.stdout)
    assert proof["status"] == "passed", said.stderr
    assert "XNNPACK" in proof["executed_on"]


@pytest.fixture(scope="module")
def sparse_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MobileNet on 48x48 gray faces with most weights of its 1x1 convolutions zero."""
    import keras

    from edgefer.backbones.base import Backbone
    from edgefer.backbones.storage import save_backbone
    from edgefer.datasets.labels import LABEL_SETS
    from edgefer.datasets.loading import load
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec
    from tests.networks import spread

    keras.utils.set_random_seed(5)
    spec = InputSpec(height=48, width=48, channels=1, color="gray", range=(0.0, 1.0))
    image = keras.Input((48, 48, 1))
    value = keras.layers.Conv2D(32, 3, 2, padding="same", activation="relu")(image)
    for stride in (1, 2, 1):
        value = keras.layers.DepthwiseConv2D(3, stride, padding="same", activation="relu")(value)
        dots = keras.layers.Conv2D(64, 1, activation="relu")
        value = dots(value)
        kernel = np.asarray(dots.kernel)
        dots.kernel.assign(np.where(abs(kernel) < np.quantile(abs(kernel), 0.85), 0, kernel))
    value = keras.layers.GlobalAveragePooling2D()(value)
    network = keras.Model(image, keras.layers.Dense(9, activation="softmax")(value))
    faces = load("synthetic", None, size=(48, 48)).split("train").pixels[:256]
    spread(network, to_floats(faces, spec))
    path = tmp_path_factory.mktemp("sparse") / "sparse.keras"
    save_backbone(Backbone(network, spec, LABEL_SETS["ferplus-9"], (), "sparse", ""), path)
    return path


def test_zeros_are_skipped_on_a_board(emulator, sparse_model, tmp_path):
    del emulator
    formats = ("tflite-fp32", "tflite-sparse-fp32")
    words = ("--to", ",".join(formats), "--data", "synthetic", "--out", tmp_path)
    assert edgefer("convert", sparse_model, *words).code == 0
    files = [tmp_path / f"sparse-{name.partition('-')[2]}.tflite" for name in formats]
    with booted(load_target("raspberry-pi-4").emulation, SITES["ai-edge-litert"], 1) as board:
        dense, sparse = (board.count(file, "litert").counts[0] for file in files)
    # 85 % of the weights of 1x1 convolutions are zero. Image, depthwise layers and ends are the same work in both.
    assert sparse < 0.8 * dense
