"""A connection to a machine by OpenSSH: its configuration, its host-key checks, its keys; no passwords here."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any

from edgefer.bench import machine, throttling
from edgefer.device import server
from edgefer.device.server import Frame, read_frame, write_frame
from edgefer.errors import TargetUnavailableError
from edgefer.remote.packing import Content, content_of

PROGRAM = "EDGEFER_SSH"
"""Environment variable with the command used in place of ``ssh``, options included."""
OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15")
OLDEST_PYTHON = (3, 11)
HELLO = b"edgefer-device "
# Runs on any Python 3; what it then reads needs a newer one.
BOOTSTRAP = (
    'import sys; print("edgefer-device", *sys.version_info[:3], flush=True); '
    "i = sys.stdin.buffer; exec(i.read(int(i.readline())))"
)
GOES_ON = ": it goes on with what is done there"
GREETING_SECONDS = 90.0
LAST_LINES = 20
LAST_WORDS_SECONDS = 5

# What ssh says on standard error, and what that means for the user.
CAUSES = (
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known for it",
        "make sure that this is the right machine, then: ssh-keygen -R {name}",
    ),
    (
        "Host key verification failed",
        "its host key is not known",
        "connect once with 'ssh {host}' and compare the key's fingerprint",
    ),
    ("Permission denied", "permission denied", "put your key there: ssh-copy-id {host}"),
    ("Could not resolve hostname", "no host of that name", "check the name, or give it in ~/.ssh/config"),
    ("Connection refused", "connection refused", "is an SSH server running there, on that port?"),
    ("timed out", "no answer", "is the machine on, and in this network?"),
    ("No route to host", "no way to it", "is the machine on, and in this network?"),
)  # fmt: skip


class ConnectionCutError(TargetUnavailableError):
    """The connection ended in the middle of a run; the same run can go on."""


class Connection:
    """An open connection. Each method is one request to ``edgefer.device.server``.

    Raises (all methods):
        ConnectionCutError: the connection ended.
        TargetUnavailableError: the machine could not do it.
    """

    def __init__(self, host: str, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.host = host
        self._process, self._errors = process, errors
        self.cut = False
        self._running = self._resumable = False

    def greet(self) -> None:
        """Wait for the far Python, past whatever a login prints, and send it what it is to run."""
        assert self._process.stdin
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(HELLO):
                version = tuple(map(int, line.split()[1:]))
                break
        else:
            raise TargetUnavailableError(*self._no_hello())
        if version < OLDEST_PYTHON:
            found, wanted = (".".join(map(str, each)) for each in (version, OLDEST_PYTHON))
            raise TargetUnavailableError(
                f"{self.host}: its Python is {found}, edgefer needs {wanted} or newer there",
                hint="install one and name it with --remote-python",
            )
        source = Path(server.__file__).read_bytes()
        with self._noticing_the_end():
            self._process.stdin.write(b"%d\n" % len(source) + source)
            self._process.stdin.flush()

    def facts(self) -> dict[str, Any]:
        """What ``bench.machine.facts`` and ``bench.throttling.pace`` find there, before anything is sent.

        Also ``python``, its ``executable``, whether it is ``managed`` by the system, and ``free_bytes`` for the cache.
        """
        found = self._call(machine, "facts") | self._call(throttling, "pace")
        return found | self._ask({"do": "about"})

    def _call(self, module: ModuleType, function: str) -> Frame:
        """Run a function of a module that imports the standard library only, over there."""
        return self._ask({"do": "call", "function": function}, Path(str(module.__file__)).read_bytes())

    def put(
        self,
        job: str,
        files: Mapping[str, Content],
        hashes: Mapping[str, str],
        sent: Callable[[float], None],
        *,
        keep: bool,
    ) -> int:
        """Bring the files of a job there, sending only contents that are not there yet; their number is returned.

        ``hashes`` are the files' sha256; ``sent`` is told which share (0..1) is done. Without ``keep`` the job goes
        with the connection, however that ends.
        """
        contents = {hashes[name]: content for name, content in files.items()}
        sizes = {sha: len(content_of(content)) for sha, content in contents.items()}
        listed = {name: (sha, sizes[sha]) for name, sha in hashes.items()}
        request: Frame = {"do": "put", "job": job, "files": listed, "keep": keep}
        missing: list[str] = self._ask(request)["missing"]
        self._resumable = keep
        total, done = max(1, sum(sizes[sha] for sha in missing)), 0  # an empty file is sent, too
        for sha in missing:
            with self._cut_by_failure():
                sent(done / total)
            self._send({"sha": sha}, content_of(contents[sha]))
            done += sizes[sha]
        self._answer()
        return len(missing)

    def run(self, job: str) -> Iterator[str]:
        """Run the agent there; its lines."""
        self._send({"do": "run", "job": job})
        self._running = True
        while "line" in (frame := self._answer()):
            yield frame["line"]
        self._running = False
        if frame["exit"]:
            said = frame["stderr"] or f"exit {frame['exit']}"
            raise TargetUnavailableError(f"{self.host}: the run failed there: {said}")

    def stop(self) -> None:
        """End a run, if one is under way."""
        if self._running and not self.cut:
            self._send({"do": "stop"})
            while "line" in self._answer():
                pass
            self._answer()
            self._running = False

    def fetch(self, job: str, names: list[str], folder: Path) -> None:
        """Bring files of the job folder into ``folder`` here.

        Raises:
            TargetUnavailableError: a name, which the machine there may have given, leads out of ``folder``.
        """
        if astray := [name for name in names if name != Path(name).name]:
            raise TargetUnavailableError(f"{self.host}: names a file outside its job: {astray[0]}")
        self._send({"do": "fetch", "job": job, "names": names})
        for name in names:
            _, content = self._receive()
            (folder / name).write_bytes(content)

    def drop(self, job: str, *, cache: bool) -> None:
        """Remove the job there; without ``cache`` also what is kept for the next one."""
        self._ask({"do": "drop", "job": job, "cache": cache})

    def _ask(self, frame: Frame, content: bytes | None = None) -> Frame:
        self._send(frame, content)
        return self._answer()

    def _send(self, frame: Frame, content: bytes | None = None) -> None:
        assert self._process.stdin
        with self._noticing_the_end():
            write_frame(self._process.stdin, frame, content)

    def _answer(self) -> Frame:
        return self._receive()[0]

    def _receive(self) -> tuple[Frame, bytes]:
        assert self._process.stdout
        with self._noticing_the_end():
            frame, content = read_frame(self._process.stdout)
        if "failed" in frame:
            self._running = False
            raise TargetUnavailableError(f"{self.host}: {frame['failed']}")
        return frame, content

    @contextmanager
    def _noticing_the_end(self) -> Iterator[None]:
        """Turn a broken pipe into the error it means here."""
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.cut = True
            said = self._said()
            raise ConnectionCutError(
                f"{self.host}: the connection was cut{f' ({said[-1]})' if said else ''}",
                hint=f"give the same command again{GOES_ON if self._resumable else ''}",
            ) from None

    @contextmanager
    def _cut_by_failure(self) -> Iterator[None]:
        """In the middle of a request nothing else can be asked: what fails here ends the connection."""
        try:
            yield
        except BaseException:
            self.cut = True
            raise

    def _no_hello(self) -> tuple[str]:
        """Why no Python answered."""
        said = self._said()
        for sign, meaning, hint in CAUSES:
            if any(sign in line for line in said):
                name = self.host.rpartition("@")[2]
                return (f"{self.host}: {meaning}; {hint.format(host=self.host, name=name)}",)
        if self._process.returncode == 127:
            hint = "install Python 3.11 or newer there, or name it with --remote-python"
            return (f"{self.host}: no such Python ({said[-1] if said else 'exit 127'}); {hint}",)
        return (f"{self.host}: cannot be used by SSH ({said[-1] if said else 'no answer'})",)

    def _said(self) -> list[str]:
        """What ssh wrote on standard error lately; it is given a moment to say why it ends."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=LAST_WORDS_SECONDS)
        lines = self._errors.read_text(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()][-LAST_LINES:]


@contextmanager
def connect(host: str, python: str = "python3") -> Iterator[Connection]:
    """A connection to ``host`` (anything that OpenSSH takes) and the Python called ``python`` there.

    Raises:
        TargetUnavailableError: no ssh here; the host cannot be reached, is not trusted or does not let us in; its
            Python is missing or too old.
    """
    command = [*shlex.split(os.environ.get(PROGRAM, "ssh")), *OPTIONS, "--", host]
    with tempfile.TemporaryDirectory(prefix="edgefer-ssh-") as work:
        errors = Path(work) / "stderr"
        try:
            with errors.open("wb") as sink:
                process = subprocess.Popen(
                    [*command, f"exec {python} -c {shlex.quote(BOOTSTRAP)}"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink,
                    start_new_session=True,  # Ctrl-C is for us; we end the far run and close
                )  # fmt: skip
        except FileNotFoundError:
            raise TargetUnavailableError(
                f"{command[0]}: no such program", hint="install the OpenSSH client"
            ) from None
        with _ended(process):
            connection = Connection(host, process, errors)
            with _killed_after(GREETING_SECONDS, process):
                connection.greet()
            yield connection


@contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the program if the block takes longer: nothing else bounds what a login there may wait for."""
    timer = Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the program with the block."""
    try:
        yield
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                if stream:
                    stream.close()
        process.wait()
