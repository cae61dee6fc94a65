from __future__ import annotations

import subprocess
import sys

import pytest
from bench_fakes import NullSession, artifact, runtime

from edgefer.bench import cold as module
from edgefer.bench.cold import load_and_run, measure_cold, peak_memory
from edgefer.errors import EdgeferError

MEGABYTE = 1 << 20


@pytest.fixture
def answer(monkeypatch):
    """Let the fresh process be a script of the test's own."""
    genuine = subprocess.run

    def give(script):
        def run(command, **settings):
            assert command[1:3] == ["-P", "-m"]
            return genuine([sys.executable, "-c", script], **settings)

        monkeypatch.setattr(module.subprocess, "run", run)

    return give


def test_the_answer_of_the_process(answer, tmp_path):
    answer("""print('{"load_ns": 5, "first_ns": 7, "peak_memory_bytes": 9}')""")
    assert measure_cold(tmp_path, "litert", 2) == module.Cold(5, 7, 9)


def test_nonsense_is_a_typed_error(answer, tmp_path):
    answer("print('hello')")
    with pytest.raises(EdgeferError, match="its answer cannot be read"):
        measure_cold(tmp_path, "litert", 2)


def test_a_crash_names_the_exit_code_and_the_last_line(answer, tmp_path):
    answer("import sys; print('warming', file=sys.stderr); sys.exit('no room')")
    with pytest.raises(EdgeferError, match=r"failed \(exit 1\): no room"):
        measure_cold(tmp_path, "litert", 2)


def test_silence_is_bounded(answer, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    answer("import time; time.sleep(60)")
    with pytest.raises(EdgeferError, match=r"no answer in 0\.3 s"):
        measure_cold(tmp_path, "litert", 2)


def test_what_lies_in_the_current_folder_is_not_imported(monkeypatch, tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit('somebody else ran')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeferError, match="no such file"):
        measure_cold(tmp_path / "none.tflite", "litert", 1)


def test_a_bad_artifact_fails_in_the_real_process_with_its_own_words(tmp_path):
    with pytest.raises(EdgeferError, match="no such file"):
        measure_cold(tmp_path / "none.tflite", "litert", 1)


def test_load_and_run_times_the_load_and_one_image(monkeypatch, tmp_path):
    sessions = []

    def session(loaded, threads):
        sessions.append(NullSession(loaded, threads))
        return sessions[-1]

    monkeypatch.setattr("edgefer.contract.open_on_device", lambda path: artifact(path.name))
    monkeypatch.setattr("edgefer.registry.discover", lambda *_: runtime(session))
    found = load_and_run(tmp_path, "null", 2)
    assert sessions[0].ran == [1]
    assert sessions[0].threads == 2
    assert min(found.load_ns, found.first_ns, found.peak_memory_bytes) > 0
    assert [each.ran for each in sessions] == [[1]] * (1 + module.WARM_STARTS), (
        "each start is a session of its own"
    )
    assert min(found.warm_load_ns, found.warm_first_ns) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_of_a_child_is_its_own():
    # A child of a large parent: ru_maxrss would report the parent's size.
    script = """
import subprocess, sys
ballast = bytearray(400 << 20)
ballast[::4096] = b"x" * len(ballast[::4096])
child = "from edgefer.bench.cold import peak_memory; print(peak_memory())"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 5 * MEGABYTE < int(done.stdout) < 300 * MEGABYTE
    assert peak_memory() > 5 * MEGABYTE
