"""A real sshd on the loopback address, with keys, a configuration and a home of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from artifact_samples import CLASSES
from PIL import Image

ROWS = 4500
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
SetEnv XDG_CACHE_HOME={cache}
"""
CLIENT = """
Host device
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
Host *
    ConnectTimeout 5
"""


class Sshd:
    """``environment`` makes ``edgefer`` reach it as the host ``device``; ``cache`` is its user's cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.cache.mkdir()
        self.port = free_port()
        self.keygen("host_key")
        self.keygen("user_key")
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        self.know(folder / "host_key.pub")
        user = getpass.getuser()
        (folder / "ssh_config").write_text(CLIENT.format(port=self.port, user=user, folder=folder))
        self.environment = {**os.environ, "EDGEFER_SSH": f"ssh -F {folder / 'ssh_config'}"}
        self._server: subprocess.Popen[bytes] | None = None

    def keygen(self, name: str) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True)

    def know(self, public: Path) -> None:
        """Make the client trust the key in ``public`` for this host."""
        kind, key = public.read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def start(self) -> None:
        config = CONFIG.format(port=self.port, folder=self.folder, cache=self.cache)
        (self.folder / "sshd_config").write_text(config)
        Path("/run/sshd").mkdir(exist_ok=True)
        self._server = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while not listening(self.port):
            assert self._server.poll() is None, "sshd ended"
            assert time.monotonic() < deadline, "sshd does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server:
            self.cut()
            self._server.terminate()
            self._server.wait()
            self._server = None

    def cut(self) -> None:
        """Kill the processes that hold the connections, as a machine that loses its network would."""
        assert self._server
        for child in children(self._server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def left(self) -> list[str]:
        """What lies in the cache, but for the contents kept for the next run."""
        found = sorted(path for path in self.cache.rglob("*") if not path.is_dir() or not any(path.iterdir()))
        return [path.relative_to(self.cache).as_posix() for path in found if path.parent.name != "objects"]

    def kept(self) -> set[str]:
        """Names of the contents kept for the next run."""
        return {path.name for path in (self.cache / "edgefer-device" / "objects").glob("*")}


def children(parent: int) -> list[int]:
    """Process ids of a process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def missing() -> str:
    """Why there can be no sshd here, or ""."""
    if sys.platform != "linux":
        return "the tests' sshd is started on Linux only"
    absent = [name for name in ("ssh", "ssh-keygen", SSHD) if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} is not installed: apt-get install openssh-server"
    return "" if os.geteuid() == 0 else "sshd serves other users' logins as root only"


@pytest.fixture(scope="module")
def sshd():
    """A machine called ``device`` that is reached by SSH."""
    if reason := missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="edgefer-sshd-"))
    server = Sshd(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> Path:
    """Test rows in class folders: enough of them that a run can be cut in the middle."""
    root = tmp_path_factory.mktemp("faces")
    for number, name in enumerate(CLASSES):
        pixels = np.full((2, 2), 20 + number, np.uint8)
        pixels.flat[number] = 250
        for split, count in (("train", 1), ("test", ROWS // 3)):
            folder = root / split / name
            folder.mkdir(parents=True)
            Image.fromarray(pixels).save(folder / "0.png")
            for copy in range(1, count):
                (folder / f"{copy}.png").hardlink_to(folder / "0.png")
    return root
