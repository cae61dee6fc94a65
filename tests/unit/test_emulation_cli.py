"""``bench --emulate`` and ``emulator`` where QEMU is not asked: refusals, resuming, what is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from artifact_samples import make
from bench_fakes import artifact, dataset

from edgefer.bench.target import load_target
from edgefer.cli import main as entry
from edgefer.emulation import pieces, tools
from edgefer.emulation.rows import choose
from edgefer.emulation.work import Work


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run ``edgefer WORDS``; exit code, standard output, standard error."""
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["edgefer", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            entry.main()
        return done.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def here(monkeypatch):
    """A machine with all programs."""
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(tools, "qemu_release", lambda: "7.2.22")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (
            ("--target", "cpu", "--emulate"),
            2,
            "target cpu cannot be emulated; those that can: raspberry-pi-4",
        ),
        (("--target", "coreml", "--emulate"), 2, "target coreml cannot be emulated"),
        (
            ("--emulate", "--batch", "1"),
            2,
            "--emulate measures no latency, and counts on one thread, so --batch",
        ),
        (("--emulate", "--threads", "2"), 2, "so --threads has no meaning"),
        (("--emulate", "--min-time", "2"), 2, "so --min-time has no meaning"),
        (("--target", "cpu", "--rows", "9"), 2, "nothing is emulated, so --rows has no meaning"),
        (("--target", "cpu", "--runtime", "onnxruntime"), 2, "so --runtime has no meaning"),
        (("--emulate", "--runtime", "tflite-runtime"), 2, "tflite-runtime runs tflite files, not onnx"),
        (("--emulate",), 4, "run: edgefer emulator setup --runtime onnxruntime"),
    ],
)
@pytest.mark.usefixtures("here")
def test_one_clear_line_and_nothing_written(call, tmp_path, words, code, line):
    make(tmp_path)
    words = words if "--target" in words else (*words, "--target", "raspberry-pi-5")
    found, out, err = call("bench", "tiny.onnx", *words)
    assert (found, out) == (code, "")
    assert line in err
    assert err.count("edgefer: error:") == 1
    assert not (tmp_path / "runs").exists()


def test_without_qemu_the_command_that_installs_it(call, tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr(tools.shutil, "which", lambda _: None)
    for words in (("bench", "tiny.onnx", "--target", "raspberry-pi-5", "--emulate"), ("emulator", "setup")):
        code, _, err = call(*words)
        assert code == 4
        assert "sudo apt-get install --no-install-recommends qemu-user" in err


@pytest.fixture
def toys(monkeypatch, here):
    """Pieces that are built in no time, and a try-out that is noted."""
    del here
    toy = pieces.Piece("toy", "a toy", 1, ("a",), lambda folder: (folder / "f").write_text("12345"))
    monkeypatch.setattr(pieces, "pieces", lambda *_: (toy,))
    monkeypatch.setattr("edgefer.cli.emulator._try_out", lambda runtimes: [f"tried {', '.join(runtimes)}"])
    return toy


@pytest.mark.usefixtures("toys")
def test_set_up_says_what_it_builds_and_a_second_time_that_it_is_there(call):
    code, out, err = call("emulator", "setup")
    assert code == 0
    assert "to build: toy, about 1 MB: a toy" in err
    assert "tried ai-edge-litert, tflite-runtime" in err
    assert "there already" not in out
    code, out, err = call("emulator", "setup")
    assert "there already" in out
    assert "to build" not in err


def test_status_and_removal(call, toys):
    assert json.loads(call("emulator", "status", "--json")[1])["pieces"][0]["state"] == "not built"
    call("emulator", "setup")
    answer = json.loads(call("emulator", "status", "--json")[1])
    assert answer["pieces"][0]["state"] == "ready"
    assert answer["qemu"] == "QEMU 7.2.22"
    assert call("emulator", "remove")[0] == 0
    assert not toys.ready


class Board:
    """Is interrupted while it answers, as often as it is told."""

    identity = "board"

    def __init__(self, interruptions):
        self.interruptions = interruptions

    def answer(self, job, advance):
        advance(0.5)
        (job / "pieces").mkdir(exist_ok=True)
        (job / "pieces" / f"{len(list((job / 'pieces').iterdir()))}.npy").write_text("")
        if self.interruptions:
            self.interruptions -= 1
            raise KeyboardInterrupt


class TestWork:
    @pytest.fixture(autouse=True)
    def file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path))
        path = tmp_path / "toy-int8.tflite"
        path.write_bytes(b"toy")
        self.artifact = replace(artifact(), path=path)

    def work(self, board, rows=0):
        return Work(self.artifact, load_target("raspberry-pi-5"), board, choose(dataset(), rows))

    def test_a_run_that_was_broken_off_goes_on_in_the_same_folder(self):
        board = Board(interruptions=1)
        first = self.work(board)
        with pytest.raises(KeyboardInterrupt):
            first.answer(lambda _: None)
        before = first.seconds
        second = self.work(board)
        second.answer(lambda _: None)
        assert second.folder == first.folder
        assert len(list((second.folder / "pieces").iterdir())) == 2
        assert second.seconds > before > 0, "the time of both runs counts"
        second.discard()
        assert not first.folder.exists()

    def test_other_rows_another_file_and_another_board_share_nothing(self):
        folders = {self.work(Board(0)).folder, self.work(Board(0), rows=7).folder}
        self.artifact.path.write_bytes(b"other")
        folders.add(self.work(Board(0)).folder)
        other = Board(0)
        other.identity = "another board"
        folders.add(self.work(other).folder)
        assert len(folders) == 4
