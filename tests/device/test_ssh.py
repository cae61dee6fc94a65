"""``edgefer bench --host`` against a real sshd: what goes well, and each way in which it does not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest
from artifact_samples import make, weights
from sshd import ROWS, Sshd

from edgefer.bench.record import load_record
from edgefer.device import server as far_end
from edgefer.device.server import Server, read_frame, write_frame
from edgefer.errors import TargetUnavailableError
from edgefer.remote.ssh import Connection


class Bench:
    """``edgefer bench`` of the tiny artifact on the machine behind ``sshd``."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd, self.out = sshd, folder / "runs"
        self.artifact = make(folder).path
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        given = {key: value for key, value in sshd.environment.items() if key != "EDGEFER_DATA"}
        self.environment = {**given, "TMPDIR": str(self.temporary)}

    def command(self, *words: object, python: object = sys.executable) -> list[str]:
        start = (sys.executable, "-m", "edgefer", "bench", self.artifact, "--host", "device")
        rest = ("--remote-python", python, "--out", self.out, "--batch", "1", "--min-time", "0.02")
        return [str(word) for word in (*start, *rest, *words)]

    def __call__(self, *words: object, **settings: object) -> subprocess.CompletedProcess[str]:
        command = self.command(*words, **settings)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)

    @property
    def record(self):
        return load_record(self.out / "device" / "tiny.onnx-fp32.cpu.json")


@pytest.fixture
def bench(sshd, tmp_path):
    return Bench(sshd, tmp_path)


def error(done: subprocess.CompletedProcess[str], code: int = 4) -> str:
    """The one line of error of a command that left nothing here."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("edgefer: error: ")]
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_first_run_brings_its_record_and_a_second_sends_nothing(bench, sshd):
    first = bench()
    assert first.returncode == 0, first.stderr
    assert bench.record.kind == "measured"
    assert bench.record.timings[0].fps > 0
    assert bench.record.cold_start.load_ns > 0
    assert "sent 0 of" not in first.stderr
    kept = sshd.kept()
    assert kept
    again = bench()
    assert again.returncode == 0, again.stderr
    assert f"device: sent 0 of {len(kept)} files" in again.stderr
    assert sshd.left() == []
    assert list(bench.temporary.iterdir()) == []


def test_only_what_changed_is_sent(bench, tmp_path):
    (tmp_path / "other").mkdir()
    bench.artifact = make(tmp_path / "other", kernel=weights() * np.float32(1.00001)).path
    done = bench()
    assert done.returncode == 0, done.stderr
    assert "device: sent 1 of" in done.stderr, "all else is there from the run before"


def test_what_a_power_cut_left_short_is_sent_anew(bench, sshd):
    assert bench().returncode == 0
    short = max(sshd.cache.glob("edgefer-device/objects/*"), key=lambda path: path.stat().st_size)
    short.write_bytes(b"")
    done = bench()
    assert done.returncode == 0, done.stderr
    assert "device: sent 1 of" in done.stderr


def test_nothing_stays_if_that_is_wanted(bench, sshd):
    assert bench("--no-remote-cache").returncode == 0
    assert sshd.left() == []
    assert not (sshd.cache / "edgefer-device").exists()


def test_a_cut_connection_is_said_and_the_same_command_goes_on(bench, sshd, faces):
    words = ("--data", faces, "--labels", "folder")
    whole = bench(*words)
    assert whole.returncode == 0, whole.stderr
    predictions, score = bench.record.accuracy.predictions, bench.record.accuracy.full
    running = subprocess.Popen(
        bench.command(*words), env=bench.environment, stderr=subprocess.PIPE, text=True
    )
    pieces = wait_for_pieces(sshd)
    sshd.cut()
    _, said = running.communicate(timeout=30)
    assert running.returncode == 4, said
    assert "device: the connection was cut" in said
    assert "give the same command again" in said
    left = settled(pieces)
    assert 0 < len(left) < ROWS / 64, "the run was cut in the middle"
    before = {path: path.stat().st_mtime_ns for path in left}
    follower = subprocess.Popen(
        bench.command(*words), env=bench.environment, stderr=subprocess.PIPE, text=True
    )
    untouched = watched(follower, before)
    assert follower.wait(timeout=60) == 0, follower.stderr.read()
    follower.stderr.close()
    assert untouched, "what was answered is not answered again"
    assert bench.record.accuracy.predictions == predictions
    assert bench.record.accuracy.full == score
    assert sshd.left() == []


def test_a_cut_connection_leaves_nothing_if_that_is_wanted(bench, sshd, faces):
    command = bench.command("--data", faces, "--labels", "folder", "--no-remote-cache")
    running = subprocess.Popen(command, env=bench.environment, stderr=subprocess.PIPE, text=True)
    wait_for_pieces(sshd)
    sshd.cut()
    _, said = running.communicate(timeout=30)
    assert running.returncode == 4, said
    assert "device: the connection was cut" in said
    assert "it goes on" not in said
    deadline = time.monotonic() + 20
    while (sshd.cache / "edgefer-device").exists():
        assert time.monotonic() < deadline, sshd.left()
        time.sleep(0.05)
    assert list(bench.temporary.iterdir()) == []


def wait_for_pieces(sshd: Sshd) -> Path:
    """The folder of pieces, as soon as some rows are answered."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := next(sshd.cache.glob("edgefer-device/jobs/*/job/pieces/rows-0-000000.npy"), None):
            return found.parent
        time.sleep(0.002)
    raise AssertionError("no row was answered")


def settled(pieces: Path) -> list[Path]:
    """The answered rows, once no more are."""
    found: list[Path] = []
    while found != (found := sorted(pieces.glob("rows-0-*.npy"))):
        time.sleep(0.3)
    return found


def watched(running: subprocess.Popen[str], before: dict[Path, int]) -> bool:
    """Whether the pieces stay as they are for as long as their folder is there."""
    alike = True
    while running.poll() is None:
        for path, time_ns in before.items():
            with contextlib.suppress(FileNotFoundError):
                alike = alike and path.stat().st_mtime_ns == time_ns
        time.sleep(0.02)
    return alike


def test_an_interrupted_run_is_ended_there_too(bench, sshd):
    running = subprocess.Popen(
        bench.command("--min-time", "20"), env=bench.environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not list(sshd.cache.glob("edgefer-device/jobs/*/job/pieces/cold-0.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(2)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 2, said
    assert "interrupted" in said
    assert sshd.left() == []


def test_a_changed_host_key(bench, sshd):
    sshd.keygen("other_key")
    try:
        sshd.know(sshd.folder / "other_key.pub")
        line = error(bench())
    finally:
        sshd.know(sshd.folder / "host_key.pub")
    assert "device: its host key is not the one that is known for it" in line
    assert "ssh-keygen -R device" in line


def test_an_unknown_host_key(bench, sshd):
    known = sshd.folder / "known_hosts"
    content = known.read_text()
    try:
        known.write_text("")
        assert "device: its host key is not known; connect once with 'ssh device'" in error(bench())
    finally:
        known.write_text(content)


def test_no_permission(bench, sshd):
    keys = sshd.folder / "authorized_keys"
    content = keys.read_text()
    try:
        keys.write_text("")
        assert "device: permission denied; put your key there: ssh-copy-id device" in error(bench())
    finally:
        keys.write_text(content)
    assert sshd.left() == []


def test_no_server_and_no_host(bench, sshd):
    sshd.stop()
    try:
        assert "device: connection refused" in error(bench())
    finally:
        sshd.start()
    command = ["no-such-host.invalid" if word == "device" else word for word in bench.command()]
    done = subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=60)
    assert "no-such-host.invalid: no host of that name" in error(done)


def test_a_full_disk(bench, sshd):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", sshd.cache], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        line = error(bench())
        assert "device: its disk is full" in line
        assert "MB are needed in" in line
        assert sshd.left() == []
    finally:
        subprocess.run(["umount", sshd.cache], check=True)


def test_a_disk_that_fills_up_on_the_way(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        monkeypatch.setattr(far_end, "_free", lambda _: 1 << 40)
        content = os.urandom(1 << 20)
        sha = far_end.hashlib.sha256(content).hexdigest()
        requests, answers = io.BytesIO(), io.BytesIO()
        write_frame(
            requests,
            {"do": "put", "job": "one", "keep": True, "files": {"job/rows.npy": (sha, len(content))}},
        )
        write_frame(requests, {"sha": sha}, content)
        requests.seek(0)
        Server(small / "edgefer-device", requests, answers).serve()
        answers.seek(0)
        assert read_frame(answers)[0] == {"missing": [sha]}
        assert "its disk is full" in read_frame(answers)[0]["failed"]
        assert [path for path in small.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", small], check=True)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_old_python(bench, sshd, tmp_path):
    version = "import sys; sys.version_info = (3, 8, 10, 'final', 0)"
    old = script(tmp_path / "python3.8", f'exec {sys.executable} -c "{version}; $2"')
    line = error(bench(python=old))
    assert "device: its Python is 3.8.10, edgefer needs 3.11 or newer there" in line
    assert "--remote-python" in line
    assert sshd.left() == []


def test_no_python(bench):
    assert "device: no such Python" in error(bench(python="/none/python3"))


def test_no_runtime(bench, sshd, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    line = error(bench(python=python))
    assert "device: numpy, pillow, onnxruntime not installed there" in line
    assert f"run: ssh device {python} -m pip install numpy pillow onnxruntime" in line
    assert sshd.left() == []


def test_a_target_that_the_host_is_not(bench, sshd):
    line = error(bench("--target", "raspberry-pi-5"))
    assert "device: target raspberry-pi-5 is not there: it needs" in line
    assert sshd.left() == []


def test_another_arm_machine_tells_a_raspberry_pis_accuracy_and_no_times(bench, faces, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import platform; platform.machine = lambda: 'aarch64'")
    python = script(tmp_path / "arm", f'PYTHONPATH={tmp_path} exec {sys.executable} "$@"')
    line = error(bench("--target", "raspberry-pi-5", python=python))
    assert "this is Linux aarch64; --accuracy-only scores its files there" in line
    words = ("--target", "raspberry-pi-5", "--accuracy-only", "--data", faces, "--labels", "folder")
    command = bench.command(*words, python=python)
    timed = command.index("--batch")
    del command[timed : timed + 4]
    done = subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "device: is no Raspberry Pi 5: accuracy only, recorded as emulated" in done.stderr
    record = load_record(bench.out / "device" / "tiny.onnx-fp32.raspberry-pi-5.json")
    assert (record.kind, record.target, record.timings) == ("emulated", "raspberry-pi-5", ())
    assert record.accuracy.full.n == ROWS


def test_hosts_side_by_side_and_one_that_fails(bench):
    done = bench("--host", "no-such-host.invalid", "--json")
    assert "no-such-host.invalid: no host of that name" in error(done)
    assert [entry["artifact"] for entry in json.loads(done.stdout)] == ["tiny"]
    assert bench.record.timings


def test_a_damaged_artifact_is_refused_before_anyone_is_asked(bench, sshd):
    kept = sshd.kept()
    content = bytearray(bench.artifact.read_bytes())
    content[content.index(b"logits")] ^= 1
    bench.artifact.write_bytes(content)
    assert "hash" in error(bench("--host", "no-such-host.invalid"), code=3)
    assert sshd.kept() == kept


def test_another_container_is_refused_before_anyone_is_asked(bench, sshd):
    kept = sshd.kept()
    done = bench("--target", "coreml", "--host", "no-such-host.invalid")
    assert "target coreml does not take onnx-fp32" in error(done, code=2)
    assert sshd.kept() == kept


def test_times_of_a_throttled_board_are_marked_and_a_login_may_chatter(bench, sshd, tmp_path):
    throttled = script(tmp_path / "vcgencmd", "echo throttled=0x50004")
    login = f'echo "Welcome!"; echo "{{}}"; PATH={throttled.parent}:$PATH exec {sys.executable} "$@"'
    python = script(tmp_path / "python3", login)
    done = bench(python=python)
    assert done.returncode == 0, done.stderr
    assert "held back right now (throttled): its times will not count" in done.stderr
    assert "INVALID: the board was held back while it was measured: throttled" in done.stderr
    assert bench.record.invalid
    assert sshd.left() == []


def test_what_is_old_is_forgotten(tmp_path):
    base = tmp_path / "edgefer-device"
    for name in ("objects/old", "objects/new", "jobs/old/x", "jobs/new/x"):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    long_ago = time.time() - 40 * far_end.DAY
    for name in ("objects/old", "jobs/old"):
        os.utime(base / name, (long_ago, long_ago))
    requests = io.BytesIO()
    write_frame(requests, {"do": "put", "job": "one", "keep": True, "files": {"job/rows.npy": ("new", 11)}})
    requests.seek(0)
    Server(base, requests, io.BytesIO()).serve()
    assert sorted(path.name for path in (base / "objects").iterdir()) == ["new"]
    assert sorted(path.name for path in (base / "jobs").iterdir()) == ["new", "one"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../result.json", "kit/agent.py"])
def test_a_far_machine_may_not_choose_where_its_files_go(name, tmp_path):
    with pytest.raises(TargetUnavailableError, match="names a file outside its job"):
        Connection("device", None, tmp_path).fetch("job", ["result.json", name], tmp_path)
    assert not list(tmp_path.iterdir())
