"""``edgefer bench --host`` end to end against a whole arm64 Debian under QEMU; ``benchmarks/pi_vm.md`` quotes it.

    apt-get install qemu-system-arm e2fsprogs openssh-client
    python benchmarks/pi_vm.py edgefer/zoo/student-micro/student-micro-int8.tflite --data PATH

Builds the machine below ``--work`` (delete that to build anew), boots it, and goes through what happens to a user: a
first run, a second one, a cut connection, a full disk, no runtime, an old Python, a wrong host key. It fails where one
of them ends otherwise than it should.

Such a machine's times are QEMU's. edgefer reads from its device tree that it is no Raspberry Pi and refuses to take
times for one; the first step here shows it. With ``--accuracy-only`` any 64-bit Arm Linux answers in the board's place,
and the record is called emulated, a kind that has no place for a time. The seconds below say how long this took.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks import pi_vm_image as vm
from benchmarks.costs import ROOT, edgefer, now, run
from edgefer.bench.environment import cpu_model
from edgefer.bench.record import RunRecord, load_record

CPU = {"raspberry-pi-4": "cortex-a72", "raspberry-pi-5": "cortex-a76"}
PAGE = ROOT / "benchmarks" / "pi_vm.md"
Running = subprocess.Popen[str]
CUT_AFTER = 20
"""Answered pieces of 64 rows, of the test split's 56, after which the connection is cut."""


@dataclass
class Desk:
    """The machine, the file and what was said so far."""

    work: Path
    file: Path
    target: str
    port: int
    page: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The commands' environment."""
        return {**os.environ, "EDGEFER_SSH": f"ssh -F {self.work}/ssh_config", "COLUMNS": "120"}

    def words(self, host: str, *more: str) -> list[str]:
        """The command line of a bench on ``host``."""
        start = ["edgefer", "bench", str(self.file), "--target", self.target, "--host", host]
        return [*start, "--out", f"{self.work}/records", *more]

    def step(
        self,
        title: str,
        words: list[str],
        code: int,
        *expected: str,
        beside: Callable[[Running], None] | None = None,
    ) -> None:
        """Run a command, quote what it says, and hold it against what it should say.

        ``beside`` is called while the command runs.

        Raises:
            click.ClickException: it ended in another exit code, or did not say one of ``expected``.
        """
        begin = time.monotonic()
        with subprocess.Popen(
            edgefer(*words[1:]),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            if beside:
                beside(running)
            said, ended = running.communicate()[0].rstrip(), running.returncode
        said = "\n".join(line.rstrip() for line in said.splitlines())
        click.echo(f"{title}: exit {ended}\n{said}")
        quoted = f"$ {' '.join(words)}\n{said}\n[exit {ended}, {time.monotonic() - begin:.0f} s]"
        self.page.append(f"## {title}\n\n```text\n{quoted}\n```")
        lacking = [text for text in expected if text not in said]
        if ended != code or lacking:
            raise click.ClickException(f"{title}: exit {ended} instead of {code}; not said: {lacking}")

    def remark(self, text: str) -> None:
        """Add a line of text to the page."""
        self.page.append(text)

    def on_machine(self, command: str) -> str:
        """What a command says on the machine."""
        return vm.ssh(self.work, "pi", command).stdout.strip()

    def record(self) -> RunRecord:
        """The record that the last run brought back."""
        return load_record(next((self.work / "records" / "pi").glob("*.json")))


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--data", envvar="EDGEFER_DATA", required=True, help="Folder with FER2013 and the FER+ votes.")
@click.option("--target", type=click.Choice(tuple(CPU)), default="raspberry-pi-5", show_default=True)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("runs/pi-vm"),
    show_default=True,
    help="The machine's folder.",
)
@click.option("--port", default=2222, show_default=True, help="Port of its SSH server on 127.0.0.1.")
def main(file: Path, data: str, target: str, work: Path, port: int) -> None:
    """Bench FILE on an arm64 virtual machine by SSH, in every way that goes well and in those that do not."""
    os.environ["EDGEFER_DATA"] = data
    vm.build(work, port)
    desk = Desk(work, file, target, port)
    with vm.booted(work, CPU[target], port) as seconds:
        desk.remark(_machine(desk, seconds))
        _times(desk)
        _twice(desk)
        _cut(desk)
        _refusals(desk)
        _left(desk)
    PAGE.write_text("\n\n".join([f"# A whole arm64 machine, by SSH\n\n{_intro(desk)}", *desk.page]) + "\n")


def _intro(desk: Desk) -> str:
    version = run([vm.QEMU, "--version"]).output.splitlines()[0]
    return (
        f"What `benchmarks/pi_vm.sh` saw on {now().date()}: {version} on {cpu_model()},\n"
        f"other work beside it; every command with `EDGEFER_SSH='ssh -F {desk.work}/ssh_config'`. Seconds are\n"
        "those of emulation: they say how long this takes, and nothing of a Raspberry Pi."
    )


def _machine(desk: Desk, seconds: float) -> str:
    facts = desk.on_machine("tr -d '\\0' < /proc/device-tree/model; echo; uname -sr; python3 -V")
    return f"The machine answered after {seconds:.0f} s: {', '.join(facts.splitlines())}, two processors."


def _times(desk: Desk) -> None:
    desk.step(
        "Times of this machine are refused", desk.words("pi"), 4,
        "this is linux,dummy-virt", "--accuracy-only scores its files there",
    )  # fmt: skip


def _twice(desk: Desk) -> None:
    desk.step("First run", desk.words("pi", "--accuracy-only"), 0, "recorded as emulated", "pi: sent")
    record = desk.record()
    assert record.kind == "emulated"
    assert not record.timings
    assert record.cold_start is None
    desk.step("Second run: nothing is sent", desk.words("pi", "--accuracy-only"), 0, "pi: sent 0 of")
    here = ["edgefer", "bench", str(desk.file), "--accuracy-only", "--out", f"{desk.work}/here"]
    desk.step("The same file on this machine", here, 0)
    mine = load_record(next((desk.work / "here").glob("*.json"))).accuracy
    theirs = record.accuracy
    assert mine
    assert theirs
    same = sum(a == b for a, b in zip(mine.predictions, theirs.predictions, strict=True))
    desk.remark(
        f"{same:,} of {len(mine.predictions):,} rows get the same class here and there; weighted F1 "
        f"{mine.full.weighted_f1:.4f} here, {theirs.full.weighted_f1:.4f} there."
    )


def _cut(desk: Desk) -> None:
    """Kill the ssh of a run in the middle, then give the same command again."""
    known, words = desk.record().accuracy, desk.words("pi", "--accuracy-only")
    seen: list[list[str]] = []

    def cut(running: Running) -> None:
        _wait(running, lambda: len(_pieces(desk)) >= CUT_AFTER)
        for children in Path(f"/proc/{running.pid}/task").glob("*/children"):
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGKILL)

    def look(running: Running) -> None:
        seen.append(_pieces(desk))
        _wait(running, lambda: len(_pieces(desk)) > len(seen[0]))
        seen.append(_pieces(desk))

    expected = ("the connection was cut", "give the same command again")
    desk.step("The connection is cut", words, 4, *expected, beside=cut)
    desk.step("The same command goes on", words, 0, "pi: sent 0 of", beside=look)
    before, after = seen
    if after[: len(before)] != before or desk.record().accuracy != known:
        raise click.ClickException("what was answered before the cut was answered again, or otherwise")
    desk.remark(
        f"{len(before)} pieces of 64 rows were answered before the cut and were not answered again; the "
        "predictions are those of the first run."
    )


def _pieces(desk: Desk) -> list[str]:
    """What is answered on the machine so far: name, size and time of each piece, sorted by name."""
    listed = "cd .cache/edgefer-device/jobs/*/job/pieces && stat -c '%n %s %Y' rows-0-*.npy"
    return desk.on_machine(listed).splitlines()


def _wait(running: Running, come: Callable[[], bool]) -> None:
    """Wait for something that happens while a command runs."""
    while not come():
        if running.poll() is not None:
            raise click.ClickException("the run ended before it could be cut, or before it was seen to go on")
        time.sleep(0.3)


def _refusals(desk: Desk) -> None:
    accuracy = "--accuracy-only"
    desk.step("The disk is full", desk.words("full", accuracy), 4, "its disk is full", "MB are needed in")
    desk.step(
        "No runtime is installed", desk.words("bare", accuracy), 4, "not installed there", "run: ssh bare"
    )
    desk.step(
        "Python 3.8", desk.words("pi", accuracy, "--remote-python", "python3.8"), 4, "its Python is 3.8"
    )
    desk.remark("Debian 12 has no Python 3.8: a wrapper there lets its Python call itself so.")
    vm.know(desk.work, "other_key", desk.port)
    desk.step(
        "A wrong host key", desk.words("pi", accuracy), 4, "its host key is not the one that is known for it"
    )
    vm.know(desk.work, "host_key", desk.port)


def _left(desk: Desk) -> None:
    """Nothing but the cache may be left."""
    left = desk.on_machine("find / -xdev -newer /etc/ssh/host_key -type f -user pi")
    others = [name for name in left.splitlines() if "/edgefer-device/objects/" not in name]
    if others:
        raise click.ClickException(f"left behind: {others}")
    desk.remark(
        f"Afterwards the runs have left {len(left.splitlines())} files, all in the cache for the next one."
    )


if __name__ == "__main__":
    main()
