"""A whole arm64 Debian under QEMU with an SSH server, for ``benchmarks/pi_vm.py``: its disk, its start, its accounts.

The disk holds Debian 12's own packages, unpacked and not configured, which an init of a few lines needs no more than.
Accounts: ``pi`` has a runtime, ``bare`` has none, ``full`` has one and a cache of 200 kB. There are no passwords; a key
pair, the host key and the known hosts are made in the working folder and are good for nothing else. The machine sees no
network (``restrict=on``), and this one reaches it on the loopback address only.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.costs import run
from edgefer.emulation import debian, pieces
from edgefer.files import atomic_directory

QEMU, MKE2FS = "qemu-system-aarch64", "mke2fs"
NEEDED = {QEMU: "qemu-system-arm", MKE2FS: "e2fsprogs", "ssh-keygen": "openssh-client", "dpkg-deb": "dpkg"}
KERNEL = "linux-image-cloud-arm64"
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
# The SSH server, a shell, and the libraries that Python alone does not need.
PACKAGES = (
    "openssh-server", "busybox-static", "python3-minimal", "libaudit1", "libcap-ng0", "libcap2", "libcom-err2",
    "libgcrypt20", "libgpg-error0", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3",
    "libkrb5support0", "liblz4-1", "libpam0g", "libpcre2-8-0", "libselinux1", "libsystemd0", "libwrap0", "libzstd1",
)  # fmt: skip
ACCOUNTS = ("pi", "bare", "full")
SITE = "/opt/site"
FIRST = """#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
for module in /modules/*; do busybox insmod $module; done
until busybox mount -t ext4 /dev/vda /root; do busybox sleep 0.2; done
busybox mount --move /dev /root/dev
exec busybox switch_root /root /sbin/start
"""
START = """#!/bin/busybox sh
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts && mount -t devpts pts /dev/pts
mount -t tmpfs run /run && mkdir -m 755 /run/sshd
mount -t tmpfs tmp /tmp
mount -t tmpfs -o size=200k small /home/full/.cache
for name in pi bare full; do chown -R $name /home/$name; done
chown -R root /etc/ssh
ifconfig lo up && ifconfig eth0 10.0.2.15 up
/usr/sbin/sshd -D -e
poweroff -f
"""
# No Debian 12 package brings a real one; what edgefer asks of it is its version, and that is what it answers.
OLD_PYTHON = """#!/bin/sh
exec python3 -c "import sys; sys.version_info = (3, 8, 10, 'final', 0); $2"
"""
SERVER = """HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
AuthenticationMethods publickey
StrictModes no
UsePAM no
"""
CLIENT = """Host {names}
    HostName 127.0.0.1
    Port {port}
    IdentityFile {work}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {work}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""


def build(work: Path, port: int) -> None:
    """Make everything below ``work`` that is not there yet."""
    for program, package in NEEDED.items():
        if not shutil.which(program):
            raise click.ClickException(f"{program} is missing; run: apt-get install {package}")
    pieces.set_up((pieces.system(), pieces.site("ai-edge-litert")))
    if not work.exists():
        with atomic_directory(work) as folder:
            _keys(folder)
            _kernel(folder)
            _disk(folder)
    names = " ".join(ACCOUNTS)
    text = CLIENT.format(names=names, port=port, work=work)
    text += "".join(f"Host {name}\n    User {name}\n" for name in ACCOUNTS)
    (work / "ssh_config").write_text(text)
    know(work, "host_key", port)


def _keys(work: Path) -> None:
    for name in ("user_key", "host_key", "other_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(work / name)]
        run(command)


def know(work: Path, key: str, port: int) -> None:
    """Make ``key`` the one that the client expects of the machine."""
    kind, public = (work / f"{key}.pub").read_text().split()[:2]
    (work / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")


def _fetch(root: Path, packages: Sequence[str]) -> str:
    """Unpack Debian packages into ``root``; what the last of them depends on comes back."""
    with tempfile.TemporaryDirectory() as work:
        for file in debian.download(Path(work), debian.MIRROR, packages):
            run(["dpkg-deb", "-x", str(file), str(root)])
        return run(["dpkg-deb", "-f", str(file), "Depends"]).output


def _kernel(work: Path) -> None:
    """Debian's kernel, and a first file system with the modules that find the disk and the network."""
    root = work / "kernel"
    newest = _fetch(root, [KERNEL]).split()[0]
    _fetch(root, [newest, "busybox-static"])
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), work / "vmlinuz")
    files = {"init": FIRST.encode(), "bin/busybox": (root / "bin" / "busybox").read_bytes()}
    for number, module in enumerate(_modules(root)):
        files[f"modules/{number:02d}-{module.name}"] = module.read_bytes()
    (work / "initrd").write_bytes(archive(files, folders=("bin", "dev", "modules", "root")))
    shutil.rmtree(root)


def _modules(root: Path) -> list[Path]:
    """Files of ``MODULES`` and of those that they need, in an order in which they load; built-in ones have none."""
    known = {path.stem.replace("-", "_"): path for path in root.rglob("*.ko")}
    found: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in found or name not in known:
            return
        needs = re.search(rb"\0depends=([^\0]*)\0", known[name].read_bytes())
        for other in needs[1].decode().split(",") if needs else ():
            add(other.replace("-", "_"))
        found[name] = known[name]

    for name in MODULES:
        add(name)
    # ext4 asks for a checksum by name when it mounts.
    add("crc32c_generic")
    return list(found.values())


def archive(files: dict[str, bytes], folders: Sequence[str]) -> bytes:
    """A cpio archive as Linux unpacks it at start ("newc"; Documentation/driver-api/early-userspace)."""
    out = io.BytesIO()
    entries = [
        *((name, 0o40755, b"") for name in folders),
        *((name, 0o100755, f) for name, f in files.items()),
    ]
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0")
        out.write(b"\0" * (-out.tell() % 4) + content)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()


def _disk(work: Path) -> None:
    """The file system with the accounts, as an image."""
    root = work / "root"
    shutil.copytree(pieces.system().place, root, symlinks=True)
    _fetch(root, PACKAGES)
    shutil.copytree(pieces.site("ai-edge-litert").place, root / SITE[1:], symlinks=True)
    for folder in ("proc", "sys", "dev", "run", "tmp", "etc", "sbin", "usr/local/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    people = {"root": 0, "sshd": 100, **{name: 1000 + number for number, name in enumerate(ACCOUNTS)}}
    lines = [f"{name}:*:{number}:{number}::/home/{name}:/bin/sh\n" for name, number in people.items()]
    (root / "etc/passwd").write_text("".join(lines))
    (root / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in people.items()))
    for name, text in {"sbin/start": START, "usr/local/bin/python3.8": OLD_PYTHON}.items():
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    (root / "etc/ssh/sshd_config").write_text(SERVER)
    shutil.copy(work / "host_key", root / "etc/ssh/host_key")
    shutil.copy(work / "user_key.pub", root / "etc/ssh/authorized_keys")
    for name in ACCOUNTS:
        packages = root / "home" / name / ".local/lib/python3.11/site-packages"
        packages.parent.mkdir(parents=True)
        (root / "home" / name / ".cache").mkdir()
        if name != "bare":
            packages.symlink_to(SITE)
    _python(root)
    run([MKE2FS, "-q", "-t", "ext4", "-d", str(root), str(work / "disk"), "1G"])
    shutil.rmtree(root)


def _python(root: Path) -> None:
    """``python3`` and ``sh`` by these names, whatever the packages' scripts would have linked."""
    for name, aim in {"usr/bin/python3": "python3.11", "bin/sh": "busybox"}.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(aim)


@contextmanager
def booted(work: Path, cpu: str, port: int) -> Iterator[float]:
    """Run the machine; the seconds until it answered. What it writes to its disk is gone afterwards."""
    command = [
        QEMU, "-M", "virt", "-cpu", cpu, "-smp", "2", "-m", "2G", "-display", "none", "-no-reboot",
        "-serial", f"file:{work}/console", "-kernel", f"{work}/vmlinuz", "-initrd", f"{work}/initrd",
        "-append", "console=ttyAMA0 quiet panic=-1", "-drive", f"file={work}/disk,if=virtio,format=raw,snapshot=on",
        "-nic", f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
    ]  # fmt: skip
    begin = time.monotonic()
    with subprocess.Popen(command) as machine:
        try:
            while ssh(work, "pi", "true").returncode:
                if machine.poll() is not None or time.monotonic() - begin > 180:
                    raise click.ClickException(
                        f"the machine did not start; its last words are in {work}/console"
                    )
                time.sleep(0.5)
            yield time.monotonic() - begin
        finally:
            machine.terminate()


def ssh(work: Path, host: str, command: str) -> subprocess.CompletedProcess[str]:
    """One command on the machine."""
    words = ["ssh", "-F", str(work / "ssh_config"), "-o", "ConnectTimeout=5", host, command]
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
