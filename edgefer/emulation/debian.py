"""The arm64 system around the runtimes: Python 3.11 and the libraries it needs, from Debian 12's own packages.

apt runs with a configuration, lists and caches of its own in a working folder: the machine's package state is neither
read nor changed, and no rights are needed. Proxy settings of the machine's ``apt.conf.d`` do apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgefer.emulation import tools

MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
PACKAGES = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libstdc++6", "libgcc-s1",
    "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1",
    "libncursesw6", "libtinfo6", "libreadline8", "libcrypt1", "libdb5.3", "libnsl2", "libtirpc3",
)  # fmt: skip
PYTHON = "usr/bin/python3.11"


def build(root: Path, *, mirror: str = MIRROR) -> None:
    """Download ``PACKAGES`` and unpack them into the empty folder ``root``.

    Raises:
        TargetUnavailableError: apt or dpkg is missing, or the packages cannot be had or unpacked.
    """
    tools.require("apt-get", "dpkg")
    tools.require_keyring()
    work = root.with_name(f"{root.name}-apt")
    for package in download(work, mirror, PACKAGES):
        hint = "is the disk full? then set EDGEFER_CACHE to a folder with room"
        tools.run(["dpkg", "-x", str(package), str(root)], f"{package.name} cannot be unpacked", hint=hint)


def download(work: Path, mirror: str, packages: Sequence[str]) -> list[Path]:
    """Fetch ``packages`` into ``work``, checked against Debian's signatures; their files, sorted."""
    for folder in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [signed-by={tools.KEYRING}] {mirror} {SUITE} main\n")
    (work / "apt.conf").write_text(configuration(work))
    hint = "is the network reachable? a proxy is taken from the machine's own apt configuration"
    apt = ["apt-get", "-q", "-c", str(work / "apt.conf")]
    tools.run([*apt, "update", "--error-on=any"], "Debian's package lists cannot be fetched", hint=hint)
    fetch = [*apt, "download", *packages]
    tools.run(fetch, "Debian's arm64 packages cannot be fetched", hint=hint, cwd=work / "packages")
    return sorted((work / "packages").glob("*.deb"))


def configuration(work: Path) -> str:
    """What apt has to know to keep to ``work`` and to arm64."""
    return f"""APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State "{work}/state";
Dir::State::status "/dev/null";
Dir::Cache "{work}/cache";
Dir::Etc::sourcelist "{work}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""
