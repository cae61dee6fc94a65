"""Everything about emulated boards that needs no QEMU."""

from __future__ import annotations

import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from bench_fakes import NullSession, artifact, dataset, runtime
from hypothesis import given
from hypothesis import strategies as st

from edgefer.bench.emulated import Instructions
from edgefer.bench.record import BatchTiming
from edgefer.bench.target import Emulation, load_target, targets
from edgefer.emulation import counting, debian, pieces, sites, tools
from edgefer.emulation.beside import open_alike, parity
from edgefer.emulation.cpuinfo import cpuinfo
from edgefer.emulation.guest import Guest, furnish
from edgefer.emulation.processes import run_together
from edgefer.emulation.rows import choose
from edgefer.errors import EdgeferError, InputError, TargetUnavailableError, VerificationError
from tests.report_samples import emulated

PI_5 = load_target("raspberry-pi-5").emulation
QEMU_7 = "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022"
TAKES_PLUGINS = "-plugin   QEMU_PLUGIN   [file=]<file>[,<argname>=<argvalue>]"


def no_advance(_):
    pass


class TestProcessor:
    def test_both_boards_can_be_emulated_and_nothing_else(self):
        able = {target.id: target.emulation.cpu for target in targets().values() if target.emulation}
        assert able == {"raspberry-pi-4": "cortex-a72", "raspberry-pi-5": "cortex-a76"}

    def test_only_the_newer_board_promises_dot_products(self):
        promised = {t.id: "asimddp" in t.emulation.features for t in targets().values() if t.emulation}
        assert promised == {"raspberry-pi-4": False, "raspberry-pi-5": True}

    def test_cpuinfo_is_what_the_kernel_of_such_a_board_writes(self):
        first = cpuinfo(PI_5).split("\n\n")[0].splitlines()
        assert first[0] == "processor\t: 0"
        assert first[3:] == [
            "CPU implementer\t: 0x41",
            "CPU architecture: 8",
            "CPU variant\t: 0x4",
            "CPU part\t: 0xd0b",
            "CPU revision\t: 1",
        ]

    @given(
        cores=st.integers(1, 64),
        implementer=st.integers(0, 0xFF),
        part=st.integers(0, 0xFFF),
        features=st.lists(st.sampled_from(PI_5.features), min_size=1, unique=True).map(tuple),
    )
    def test_cpuinfo_says_all_of_any_processor(self, cores, implementer, part, features):
        changed = {"cores": cores, "implementer": implementer, "part": part, "features": features}
        blocks = cpuinfo(msgspec.structs.replace(PI_5, **changed)).strip().split("\n\n")
        read = [dict(map(str.strip, line.split(":")) for line in block.splitlines()) for block in blocks]
        assert [int(block["processor"]) for block in read] == list(range(cores))
        assert {int(block["CPU implementer"], 16) for block in read} == {implementer}
        assert {int(block["CPU part"], 16) for block in read} == {part}
        assert all(tuple(block["Features"].split()) == features for block in read)

    def test_plain_max_is_refused_because_it_is_silently_wrong(self):
        facts = msgspec.structs.asdict(PI_5)
        with pytest.raises(ValueError, match="int8 wrong"):
            Emulation(**facts | {"cpu": "max"})
        assert Emulation(**facts | {"cpu": "max,sme=off"})


class TestCommands:
    def test_the_guest_sees_its_own_libraries_and_none_of_the_hosts(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/x86")
        guest = Guest(PI_5, tmp_path, (tmp_path / "kit", tmp_path / "site"))
        command = guest.command("-m", "agent", tmp_path)
        assert command[:5] == ["qemu-aarch64", "-cpu", "cortex-a76", "-L", str(tmp_path)]
        assert command[5:] == [str(tmp_path / "usr/bin/python3.11"), "-s", "-m", "agent", str(tmp_path)]
        assert guest.environment["PYTHONPATH"] == f"{tmp_path}/kit:{tmp_path}/site"
        assert "LD_LIBRARY_PATH" not in guest.environment

    def test_a_plugin_goes_before_the_program(self, tmp_path):
        command = Guest(PI_5, tmp_path, ()).command("x.py", plugin=("count.so", "out=f"))
        assert command[command.index("-plugin") + 1] == "count.so,out=f"
        assert command.index("-plugin") < command.index("x.py")

    def test_the_root_is_the_shared_system_with_a_processor_of_its_own(self, tmp_path):
        (tmp_path / "system" / "usr").mkdir(parents=True)
        (tmp_path / "system" / "usr" / "file").write_text("shared")
        root = furnish(tmp_path / "root", tmp_path / "system", PI_5)
        assert (root / "usr" / "file").read_text() == "shared"
        assert (root / "proc" / "cpuinfo").read_text() == cpuinfo(PI_5)
        assert not (tmp_path / "system" / "proc").exists()

    def test_apt_keeps_to_its_own_folder_and_to_arm64(self, tmp_path):
        lines = debian.configuration(tmp_path).splitlines()
        assert 'APT::Architecture "arm64";' in lines
        places = [line.split('"')[1] for line in lines if line.startswith("Dir::")]
        assert places
        assert all(place.startswith(str(tmp_path)) or place == "/dev/null" for place in places)

    def test_pip_asks_for_arm_wheels_of_the_boards_python(self, tmp_path):
        command = sites.pip_command(sites.SITES["tflite-runtime"], tmp_path)
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert "--only-binary=:all:" in command
        assert command[command.index("--python-version") + 1] == "3.11"
        named = [word for word in command if word.startswith("manylinux")]
        assert "manylinux2014_aarch64" in named
        assert "manylinux_2_28_aarch64" in named
        assert all(word.endswith("_aarch64") for word in named)
        assert command[-3:] == ["tflite-runtime==2.14.0", "numpy>=1.26,<2", "pillow>=11"]

    def test_the_present_runtime_is_the_one_unless_asked_otherwise(self):
        assert sites.site_for("tflite").id == "ai-edge-litert"
        assert sites.site_for("onnx").id == "onnxruntime"


class TestTools:
    def test_the_release_of_a_qemu_that_counts(self):
        assert tools.checked_release(QEMU_7, TAKES_PLUGINS) == "7.2.22"

    @pytest.mark.parametrize(
        ("answer", "usage", "line"),
        [
            (QEMU_7, "", "built with plugins; this qemu-aarch64 has none"),
            ("qemu-aarch64 version 6.2.0", TAKES_PLUGINS, "this is version 6.2.0"),
            ("qemu-aarch64 version 10.0.2 (Debian)", TAKES_PLUGINS, "this is version 10.0.2"),
            ("Segmentation fault", TAKES_PLUGINS, "does not say its version"),
        ],
    )
    def test_another_qemu_is_refused_with_the_reason(self, answer, usage, line):
        with pytest.raises(TargetUnavailableError) as caught:
            tools.checked_release(answer, usage)
        assert line in str(caught.value)

    def test_a_missing_program_is_answered_with_the_command_that_installs_it(self, monkeypatch):
        monkeypatch.setattr(tools.shutil, "which", lambda _: None)
        with pytest.raises(TargetUnavailableError) as caught:
            tools.require("qemu-aarch64", "gcc")
        assert caught.value.exit_code == 4
        assert "qemu-aarch64, gcc, which are not installed" in caught.value.message
        wanted = "run: sudo apt-get install --no-install-recommends qemu-user gcc libc6-dev"
        assert caught.value.hint == wanted

    def test_another_system_is_told_that_it_cannot(self, monkeypatch):
        monkeypatch.setattr(tools.platform, "system", lambda: "Darwin")
        with pytest.raises(TargetUnavailableError, match=r"needs Linux.*this is Darwin"):
            tools.require("gcc")

    def test_a_failed_step_says_why_in_one_line(self):
        shout = "import sys; print('W: odd\\nE: Unable to fetch\\nE: more', file=sys.stderr); sys.exit(100)"
        with pytest.raises(TargetUnavailableError) as caught:
            tools.run([sys.executable, "-c", shout], "the lists cannot be had", hint="is there a network?")
        assert str(caught.value) == "the lists cannot be had: E: Unable to fetch; is there a network?"


class TestPieces:
    @pytest.fixture(autouse=True)
    def place(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path))
        return tmp_path / "emulator"

    def piece(self, build, recipe=("a",)):
        return pieces.Piece("toy", "a toy", 1, recipe, build)

    def test_a_piece_is_built_once(self):
        built = []
        toy = self.piece(lambda folder: built.append((folder / "file").write_text("12345")))
        (first,), (second,) = pieces.set_up([toy]), pieces.set_up([toy])
        assert len(built) == 1
        assert first.seconds > 0
        assert (second.seconds, second.bytes) == (0.0, 5)

    def test_an_interrupted_set_up_leaves_nothing_half_made(self, place):
        def interrupted(folder):
            (folder / "half").write_text("")
            raise KeyboardInterrupt

        toy = self.piece(interrupted)
        with pytest.raises(KeyboardInterrupt):
            pieces.set_up([toy])
        assert not toy.ready
        assert list(place.iterdir()) == []

    def test_another_recipe_is_another_piece(self):
        pieces.set_up([self.piece(no_advance)])
        assert self.piece(no_advance).ready
        assert not self.piece(no_advance, recipe=("b",)).ready

    def test_what_is_missing_is_named_with_the_command_that_builds_it(self):
        with pytest.raises(TargetUnavailableError) as caught:
            pieces.require(pieces.pieces(["onnxruntime"]))
        assert "counter, debian, onnxruntime missing" in str(caught.value)
        assert caught.value.hint == "run: edgefer emulator setup --runtime onnxruntime"

    def test_removing_frees_everything(self, place):
        pieces.set_up([self.piece(lambda folder: (folder / "file").write_text("12345"))])
        assert pieces.remove() == 5
        assert not place.exists()
        assert pieces.remove() == 0

    def test_a_full_disk_names_the_way_out(self):
        def full(_):
            raise OSError(28, "No space left on device")

        with pytest.raises(InputError, match=r"No space left on device.*EDGEFER_CACHE"):
            pieces.set_up([self.piece(full)])


counts = st.lists(st.tuples(st.integers(10**4, 10**9), st.integers(0, 10**4)), min_size=1, max_size=9)


class TestCounting:
    @given(counts=counts, overhead=st.integers(0, 9000))
    def test_what_the_marks_cost_is_taken_off_and_the_first_inference_left_out(self, counts, overhead):
        first = f"{overhead} 0\n{10**9} 7\n"
        pairs = "".join(f"{overhead} 0\n{count + overhead} {dots}\n" for count, dots in counts)
        found = counting.read_counts(first + pairs, "a.tflite")
        assert found.counts == tuple(count for count, _ in counts)
        assert found.dot_products == tuple(dots for _, dots in counts)
        assert min(found.counts) <= found.per_inference <= max(found.counts)

    @pytest.mark.parametrize("text", ["", "1836 0\n2705562 9\n", "x y\n" * 4, "5 0\n9 0\n5 0\n5 0\n"])
    def test_anything_else_is_an_error_that_names_the_file(self, text):
        with pytest.raises(EdgeferError, match=r"a\.tflite: its instructions were not counted"):
            counting.read_counts(text, "a.tflite")

    def test_the_share_of_dot_products(self):
        assert Instructions(counts=(100, 100, 104), dot_products=(41, 41, 41)).dot_share == 0.41


class TestRows:
    @given(total=st.integers(1, 200), count=st.integers(0, 250))
    def test_a_part_is_spread_evenly_and_always_the_same(self, total, count):
        whole = dataset()
        test = whole.split("test").take(np.arange(total) % 30)
        data = replace(whole, splits={"test": test})
        chosen, again = choose(data, count), choose(data, count)
        expected = count if 0 < count < total else total
        assert len(chosen.data.split("test")) == expected
        assert chosen.of == total
        assert chosen.whole == (expected == total)
        assert chosen.data.split("test").sha256 == again.data.split("test").sha256

    def test_a_part_keeps_the_order_and_reaches_the_end(self):
        data = dataset()
        data.split("test").pixels[:, 0, 1, 0] = np.arange(30)
        part = choose(data, 10).data.split("test").pixels
        assert part[:, 0, 1, 0].tolist() == list(range(0, 30, 3))


class TestParity:
    def quantized(self, scale=1 / 256):
        plain = artifact()
        output = msgspec.structs.replace(plain.manifest.io.output, dtype="uint8", scale=scale, zero_point=0)
        io = msgspec.structs.replace(plain.manifest.io, output=output)
        return replace(plain, manifest=msgspec.structs.replace(plain.manifest, io=io))

    def found(self, loaded, changed):
        """Parity of answers that differ from this machine's by what ``changed`` does to them."""
        rows, session = choose(dataset(wrong=3), 0), NullSession(loaded, 1)
        here = session.decode(rows.data.split("test").pixels)
        return parity(loaded, changed(here.copy()), rows, session, batch=8)

    def test_equal_answers(self):
        found = self.found(self.quantized(), lambda answers: answers)
        assert (found.max_steps, found.max_abs, found.top1_agreement, found.f1_points) == (0, 0.0, 1.0, 0.0)
        assert found.rows == found.of_rows == 30

    def test_steps_are_of_the_outputs_own_scale(self):
        def two_steps(answers):
            answers[4, 0] += 2 / 256
            return answers

        assert self.found(self.quantized(), two_steps).max_steps == 2
        assert self.found(self.quantized(1 / 128), two_steps).max_steps == 1
        assert self.found(artifact(), two_steps).max_steps is None

    def test_a_changed_class_costs_agreement_and_f1(self):
        def flip(answers):
            answers[29] = np.roll(answers[29], 1)
            return answers

        found = self.found(self.quantized(), flip)
        assert found.top1_agreement == pytest.approx(29 / 30)
        assert found.f1 < found.f1_here
        assert found.f1_points == pytest.approx(100 * (found.f1_here - found.f1))

    def test_this_machine_answers_with_the_boards_kernels(self):
        def session(kernels):
            return type("Session", (NullSession,), {"executed_on": f"litert (CPU, {kernels}, 1 thread)"})

        kinds = ("XNNPACK in 3 pieces", "builtin kernels")
        runtimes = {kind: runtime(session(kind))["null"] for kind in kinds}
        there = "tflite-runtime 2.14.0 (CPU, builtin kernels, 1 thread)"
        assert "builtin kernels" in open_alike(artifact(), there, runtimes).executed_on
        with pytest.raises(TargetUnavailableError, match="reference kernels"):
            open_alike(artifact(), "x (CPU, reference kernels, 1 thread)", runtimes)

    def test_an_emulated_record_cannot_hold_a_time(self):
        timing = BatchTiming(batch=1, warmup_ns=(), samples_ns=(1,))
        for change in ({"timings": (timing,)}, {"peak_memory_bytes": 1}):
            with pytest.raises(ValueError, match="no latency"):
                emulated("tflite-int8", **change)


class Here(Guest):
    """Runs the guest's Python programs on this machine's own Python."""

    def command(self, *words, plugin=()):  # noqa: ARG002 - it has no QEMU to plug into
        return [sys.executable, *map(str, words)]


SAY = "import json; print(json.dumps({!r}), flush=True)"


class TestProcesses:
    @pytest.fixture
    def guest(self, tmp_path):
        return Here(PI_5, tmp_path, ())

    def run(self, guest, *programs):
        shares = []
        run_together(guest, [guest.command("-c", each) for each in programs], "board", shares.append)
        return shares

    def test_progress_is_of_all_together(self, guest):
        half, whole = (SAY.format({"progress": [done, 2, "rows"]}) for done in (1, 2))
        shares = self.run(guest, half, whole)
        assert sorted(shares)[-1] == pytest.approx(0.75)

    def test_an_agents_error_keeps_its_kind_and_ends_the_others(self, guest):
        error = {"kind": "VerificationError", "message": "outputs differ", "hint": "", "exit_code": 3}
        failing = SAY.format({"error": error}) + "; import sys; sys.exit(3)"
        with pytest.raises(VerificationError, match="board: outputs differ"):
            self.run(guest, failing, "import time; time.sleep(300)")

    def test_a_death_is_told_with_the_last_words(self, guest):
        with pytest.raises(EdgeferError, match=r"board: the emulated program died \(exit 7\): uncaught"):
            self.run(guest, "import os, sys; print('uncaught signal', file=sys.stderr); os._exit(7)")
