"""The far end of an SSH connection: takes files, runs the agent, gives results back, clears away.

Its source is sent over the connection itself, so it is one file and imports the standard library only. It reads frames
on standard input and answers in frames on standard output. A frame is one line of JSON; its key ``bytes``, if there,
says how many bytes of content follow. Nothing is sent before the last request was answered, but for what ends a run.

====================  =============================================================================================
on the device         what
====================  =============================================================================================
``objects/SHA256``    content that was sent, kept for the next run; what was not used for a month is removed
``jobs/ID/``          one run: ``kit/`` for Python's path and ``job/``; removed when the run ends. It outlives only a
                      broken connection, so that the same run can go on, and a week at most.
====================  =============================================================================================

Both lie below ``$XDG_CACHE_HOME/edgefer-device``, by default ``~/.cache/edgefer-device``. Of a job that is put without
``keep`` nothing stays, however the connection ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

Frame = dict[str, Any]

DAY = 86400
KEEP_OBJECTS = 30 * DAY
KEEP_JOBS = 7 * DAY
LOCK_SECONDS = 20
SPARE_BYTES = 16 << 20


def write_frame(stream: IO[bytes], frame: Frame, content: bytes | None = None) -> None:
    """Send one frame."""
    head = frame if content is None else {**frame, "bytes": len(content)}
    stream.write(json.dumps(head).encode() + b"\n")
    if content is not None:
        stream.write(content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[Frame, bytes]:
    """Receive one frame.

    Raises:
        EOFError: the other side is gone.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    frame: Frame = json.loads(line)
    content = stream.read(frame.get("bytes", 0))
    if len(content) < frame.get("bytes", 0):
        raise EOFError
    return frame, content


class Server:
    """Answers one connection; each public method is a request, called with its frame and content."""

    def __init__(self, base: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
        self.base, self.requests, self.answers = base, requests, answers
        self.objects, self.jobs = base / "objects", base / "jobs"
        self.passing: set[str] = set()

    def serve(self) -> None:
        """Answer until the other side is gone; then what was not to stay goes, too."""
        with suppress(EOFError, BrokenPipeError):
            while True:
                self._answer()
        for job in self.passing:
            self._clear(job, cache=False)

    def _answer(self) -> None:
        """Answer one request."""
        try:
            frame, content = read_frame(self.requests)
            getattr(self, f"do_{frame['do']}")(frame, content)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.say({"failed": _reason(error)})

    def say(self, frame: Frame, content: bytes | None = None) -> None:
        """Answer."""
        write_frame(self.answers, frame, content)

    def do_about(self, frame: Frame, content: bytes) -> None:
        """What concerns the sending and the installing."""
        del frame, content
        externally = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
        about = {
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "managed": externally.exists() and sys.prefix == sys.base_prefix,
            "free_bytes": _free(self.base),
        }
        self.say(about)

    def do_call(self, frame: Frame, content: bytes) -> None:
        """Run a module's source and give what one of its functions returns, a dictionary of plain values."""
        names: dict[str, Any] = {"__name__": "sent"}
        exec(content, names)  # sent by the very host that may run any command here
        self.say(names[frame["function"]]())

    def do_put(self, frame: Frame, content: bytes) -> None:
        """Take the files of a job: say which contents are missing, receive them, put the job together."""
        del content
        files: dict[str, tuple[str, int]] = frame["files"]
        if not frame["keep"]:
            self.passing.add(frame["job"])
        self._forget()
        sizes = {sha: size for sha, size in files.values() if not _is_whole(self.objects / sha, size)}
        needed, free = sum(sizes.values()) + SPARE_BYTES, _free(self.base)
        if needed > free:
            room = f"{needed / 1e6:.0f} MB are needed in {self.base}, {free / 1e6:.0f} MB are free"
            self._clear(frame["job"])
            self.say({"failed": f"its disk is full: {room}"})
            return
        for folder in (self.objects, self.jobs):
            folder.mkdir(parents=True, exist_ok=True)
        self.say({"missing": list(sizes)})
        self._receive(len(sizes), frame["job"])
        self._assemble(self.jobs / frame["job"], {name: sha for name, (sha, _) in files.items()})
        self.say({})

    def _receive(self, count: int, job: str) -> None:
        """Keep ``count`` contents; all are read even if one cannot be kept, so that the answer is heard."""
        failure: OSError | None = None
        for _ in range(count):
            head, content = read_frame(self.requests)
            try:
                if failure is None:
                    self._keep(head["sha"], content)
            except OSError as error:
                failure = error
        if failure:
            self._clear(job)
            raise failure

    def do_run(self, frame: Frame, content: bytes) -> None:
        """Run the agent and pass on its lines; a request meanwhile, or none any more, ends it."""
        del content
        job = self.jobs / frame["job"]
        with _locked(job / "lock", LOCK_SECONDS) as mine, (job / "stderr").open("wb") as errors:
            if not mine:
                lost = "after a lost connection it ends within a minute"
                self.say({"failed": f"the same run is still under way there; {lost}"})
                return
            agent = subprocess.Popen(
                [sys.executable, "-m", "edgefer.device.agent", "../job"],
                cwd=job / "kit", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **_surroundings(job)},
            )  # fmt: skip
            try:
                for line in self._lines(agent):
                    self.say({"line": line})
            finally:
                agent.kill()
                code = agent.wait()
        last = (job / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
        self.say({"exit": code, "stderr": "".join(last)})

    def do_stop(self, frame: Frame, content: bytes) -> None:
        """What ends a run; by the time it is read the run has ended."""
        del frame, content
        self.say({})

    def do_fetch(self, frame: Frame, content: bytes) -> None:
        """Give files of the job folder back."""
        del content
        for name in frame["names"]:
            self.say({"name": name}, (self.jobs / frame["job"] / "job" / name).read_bytes())

    def do_drop(self, frame: Frame, content: bytes) -> None:
        """Remove the job; with ``cache`` false all that was ever sent, unless another job uses it."""
        del content
        self._clear(frame["job"], cache=frame["cache"])
        self.passing.discard(frame["job"])
        self.say({})

    def _lines(self, agent: subprocess.Popen[bytes]) -> Iterator[str]:
        """Whole lines of the agent until it ends, or until something (its end included) arrives on the connection."""
        assert agent.stdout
        out, pending = agent.stdout.fileno(), b""
        while True:
            ready, _, _ = select.select([out, self.requests.fileno()], [], [])
            if out not in ready:
                return
            if not (chunk := os.read(out, 1 << 16)):
                agent.wait()
                return
            *lines, pending = (pending + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)

    def _keep(self, sha: str, content: bytes) -> None:
        """Store content under its hash, in one step."""
        if hashlib.sha256(content).hexdigest() != sha:
            raise OSError(f"{sha[:12]} arrived damaged")
        handle, name = tempfile.mkstemp(dir=self.objects)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a board may lose its power before the name gets its bytes
            Path(name).replace(self.objects / sha)
        finally:
            Path(name).unlink(missing_ok=True)

    def _assemble(self, job: Path, files: dict[str, str]) -> None:
        """Link the job's files; what an earlier run left beside them stays."""
        now = time.time()
        for name, sha in files.items():
            place, source = job / name, self.objects / sha
            os.utime(source, (now, now))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            try:
                os.link(source, place)
            except OSError:  # a file system without links
                shutil.copyfile(source, place)
        os.utime(job)

    def _forget(self) -> None:
        """Remove what is too old to be of use."""
        now = time.time()
        for path in self.objects.glob("*"):
            if now - path.stat().st_mtime > KEEP_OBJECTS:
                path.unlink()
        for path in self.jobs.glob("*"):
            if now - path.stat().st_mtime > KEEP_JOBS:
                shutil.rmtree(path, ignore_errors=True)

    def _clear(self, job: str, *, cache: bool = True) -> None:
        """Remove a job that no one else runs, the folder of jobs with the last of them; without ``cache`` then all."""
        if (self.jobs / job).exists():
            with _locked(self.jobs / job / "lock", 0) as mine:
                if mine:
                    shutil.rmtree(self.jobs / job, ignore_errors=True)
        if self.jobs.exists() and not any(self.jobs.iterdir()):
            self.jobs.rmdir()
        if not cache and not self.jobs.exists():
            shutil.rmtree(self.base, ignore_errors=True)


def _surroundings(job: Path) -> dict[str, str]:
    """Environment variables of the agent: our modules, and what runtimes leave behind stays in the job's folder."""
    droppings = job / "tmp"
    droppings.mkdir(exist_ok=True)
    return {"PYTHONPATH": str(job / "kit"), "TMPDIR": str(droppings), "XDG_CACHE_HOME": str(droppings)}


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[bool]:
    """Whether the lock was had within ``seconds``: a run whose connection broke needs a moment to end."""
    import fcntl  # this module is also imported where only frames are written, on Windows too

    with path.open("w") as file:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(0.1)
            else:
                yield True
                return


def _reason(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    full = "its disk is full" if error.errno == 28 else error.strerror or str(error)
    return f"{full}{place}"


def _is_whole(path: Path, size: int) -> bool:
    """Whether a content that was kept is all there: a board that loses its power leaves shorter files."""
    return path.exists() and path.stat().st_size == size


def _free(folder: Path) -> int:
    """Bytes free where ``folder`` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def main() -> None:
    """Serve standard input."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    Server(Path(cache) / "edgefer-device", sys.stdin.buffer, sys.stdout.buffer).serve()


if __name__ == "__main__":
    main()
